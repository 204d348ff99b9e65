# A model that is solved for many subjects gets machine code of its own: the three kernels written out without loops or index lists.
# Every operation is the one the kernels in `pack.jl` do, in the same order, so that the numbers are the same to the last bit.

"""Addresses of a model's compiled kernels; null until the model has been used enough to be worth compiling."""
mutable struct MachineCode
    rhs::Ptr{Cvoid}
    refresh::Ptr{Cvoid}
    substitute::Ptr{Cvoid}
    @atomic subjects::Int  # solved so far
end
MachineCode() = MachineCode(C_NULL, C_NULL, C_NULL, 0)

"""Compiling takes about as long as what it saves over this many subjects, whatever the size of the model."""
const WORTH_COMPILING = 20_000

"""Entries and operations of a model above which straight code no longer fits the processor's instruction cache."""
const MOST_OPERATIONS = 1500

@inline has_code(code::MachineCode, ::Type{Lanes{L,T}}) where {L,T} = L == LANES && T === Float64 && code.rhs != C_NULL

const PF = Ptr{Float64}

@inline function run_rhs!(code, du, u, p)
    GC.@preserve du u p ccall(code.rhs, Cvoid, (PF, PF, PF, PF, PF), du, u, p.base, p.parameters, p.rate)
    nothing
end
@inline function run_refresh!(code, lu, u, p, shift)
    GC.@preserve lu u p ccall(code.refresh, Cvoid, (PF, PF, PF, PF, Float64), lu, u, p.base, p.parameters, shift)
    nothing
end
@inline function run_substitute!(code, x, lu, b)
    GC.@preserve x lu b ccall(code.substitute, Cvoid, (PF, PF, PF), x, lu, b)
    nothing
end

"""Count subjects about to be solved, and compile the model's kernels when that is worth it."""
function note_use!(st, subjects::Int)
    code = st.code
    total = @atomic code.subjects += subjects
    total >= WORTH_COMPILING && code.rhs == C_NULL && operations(st) <= MOST_OPERATIONS || return nothing
    lock(() -> code.rhs == C_NULL && compile!(st), PLANS_LOCK)
    nothing
end

operations(st) = length(st.row_entry) + 2 * n_entries(st) + length(st.plan.op_source) + 10 * length(st.j_entry)

function compile!(st)
    code = st.code
    code.substitute = machine_code(substitute_code(st), (PF, PF, PF))
    code.refresh = machine_code(refresh_code(st), (PF, PF, PF, PF, Float64))
    code.rhs = machine_code(rhs_code(st), (PF, PF, PF, PF, PF))  # last: it says that all are there
end

"""The address of a function written as an expression `name(arguments) = body`."""
function machine_code(definition, types)
    Core.eval(PBPKHybrid, definition)
    name = definition.args[1].args[1]
    Core.eval(PBPKHybrid, :(@cfunction($name, Cvoid, ($(types...),))))
end

row(i) = Symbol(:row, i)
entry(e) = Symbol(:entry, e)

"""A function of pointers to rows of lanes (and numbers, which are not in `rows`)."""
function straight_code(name, rows, numbers, body)
    wrap = [:($r = Rows{$LANES,Float64}(Ptr{Lanes{$LANES,Float64}}($r))) for r in rows]
    Expr(:function, Expr(:call, gensym(name), rows..., numbers...), quote
        $(wrap...)
        $(body...)
        nothing
    end)
end

function inhibition_code(st, m)
    first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
    foldl((sum, j) -> :($sum + $(row(st.r_state[j])) / par[$(p + 1 + j - first)]), (first + 1):last; init = :(splat(Lanes{$LANES,Float64}, 1)))
end

"""One of the two sums of `inhibition_pair`: `back` 2 for c, 1 for u."""
function pair_code(st, m, back)
    first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
    term(j) = :(par[$(p + 2 * (j - first) - back)] * $(row(st.r_state[j])))
    foldl((sum, j) -> :($sum + $(term(j))), (first + 2):last; init = :(splat(Lanes{$LANES,Float64}, 1)))
end

"""v of reaction m; see `lane_rate`."""
function rate_code(st, m)
    first, p = st.r_ptr[m], st.p_ptr[m]
    a = row(st.r_state[first])
    st.law[m] == 1 && return :(par[$p] * $a * $(row(st.r_state[first + 1])))
    if st.law[m] == 4
        free, bound = pair_code(st, m, 2), pair_code(st, m, 1)
        return :(par[$p] * (1.0 + $(row(st.r_state[first + 1]))) * $a / ($free + par[$(p + 1)] * $a * $bound))
    end
    share = :(par[$p] * hill_share($a, par[$(p + 1)], par[$(p + 2)]))
    st.law[m] == 2 && return share
    st.law[m] == 3 && return :($share * $(row(st.r_state[first + 1])))
    :(par[$p] * $a / (par[$(p + 1)] * $(inhibition_code(st, m)) + $a))
end

"""d v / d (reactant j of reaction m); see `lane_rate_derivative`."""
function rate_derivative_code(st, m, j)
    first, p = st.r_ptr[m], st.p_ptr[m]
    a = row(st.r_state[first])
    st.law[m] == 1 && return :(par[$p] * $(j == 1 ? row(st.r_state[first + 1]) : a))
    st.law[m] == 4 && return quote
        let free = $(pair_code(st, m, 2)), bound = $(pair_code(st, m, 1)), sa = par[$(p + 1)] * $a
            over = 1.0 / (free + sa * bound)
            $(
                if j == 2
                    :(par[$p] * $a * over)
                else
                    quote
                        let active = par[$p] * (1.0 + $(row(st.r_state[first + 1]))) * over * over
                            $(j == 1 ? :(active * free) : :(0.0 - active * $a * (par[$(p + 2j - 4)] + sa * par[$(p + 2j - 3)])))
                        end
                    end
                end
            )
        end
    end
    if st.law[m] >= 2
        j == 2 && return :(par[$p] * hill_share($a, par[$(p + 1)], par[$(p + 2)]))
        slope = :(par[$p] * hill_slope($a, par[$(p + 1)], par[$(p + 2)]))
        return st.law[m] == 3 ? :($slope * $(row(st.r_state[first + 1]))) : slope
    end
    quote
        let km = par[$(p + 1)]
            free = km * $(inhibition_code(st, m))
            denominator = free + $a
            common = par[$p] / (denominator * denominator)
            $(j == 1 ? :(common * free) : :(0.0 - common * $a * km / par[$(p + j)]))
        end
    end
end

"""`z + gain v`, rounded as with a gain that is not known: the compiler would leave out a factor of one and fuse `v` itself."""
plus(z, v, gain) = gain == 1 ? :(plain_sum($z, $v)) : gain == -1 ? :(plain_difference($z, $v)) : :($z + $v * $gain)

load_states(st, used = 1:n_states(st)) = [:($(row(i)) = u[$i]) for i in used]

function rhs_code(st)
    n, reactions = n_states(st), length(st.law)
    body = load_states(st)
    append!(body, (:($(Symbol(:rate, m)) = $(rate_code(st, m))) for m in 1:reactions))
    for i in 1:n
        z = :(inflow[$i])
        for e in st.row_ptr[i]:(st.row_ptr[i + 1] - 1)
            z = :($z - base[$(st.row_entry[e])] * $(row(st.row_col[e])))
        end
        for m in 1:reactions, q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
            st.s_state[q] == i && (z = plus(z, Symbol(:rate, m), st.s_gain[q]))
        end
        push!(body, :(du[$i] = $z))
    end
    straight_code(:rhs, (:du, :u, :base, :par, :inflow), (), body)
end

function refresh_code(st)
    plan = st.plan
    n = plan.n
    body = load_states(st, sort!(unique(st.r_state)))
    append!(body, (:($(entry(e)) = base[$e]) for e in 1:n_entries(plan)))
    for m in 1:length(st.law)
        at = st.j_ptr[m]
        for j in 1:(st.r_ptr[m + 1] - st.r_ptr[m])
            push!(body, :(slope = $(rate_derivative_code(st, m, j))))
            for q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
                e = entry(st.j_entry[at])
                push!(body, :($e = $(plus(e, :slope, -st.s_gain[q]))))
                at += 1
            end
        end
    end
    append!(body, (:($(entry(i)) = $(entry(i)) + shift) for i in 1:n))
    for i in 1:n
        for p in plan.l_ptr[i]:(plan.l_ptr[i + 1] - 1)
            factor = entry(n + p)
            push!(body, :($factor = $factor * $(entry(plan.l_col[p]))), :(lu[$(n + p)] = $factor))
            for q in plan.op_ptr[p]:(plan.op_ptr[p + 1] - 1)
                e = entry(plan.op_target[q])
                push!(body, :($e = $e - $factor * $(entry(plan.op_source[q]))))
            end
        end
        push!(body, :($(entry(i)) = 1.0 / $(entry(i))), :(lu[$i] = $(entry(i))))
        for p in plan.u_ptr[i]:(plan.u_ptr[i + 1] - 1)  # row i of U is final
            e = n + length(plan.l_col) + p
            push!(body, :(lu[$e] = $(entry(e))))
        end
    end
    straight_code(:refresh, (:lu, :u, :base, :par), (:shift,), body)
end

function substitute_code(st)
    plan = st.plan
    n = plan.n
    body = []
    for i in 1:n
        z = :(-b[$i])
        for p in plan.l_ptr[i]:(plan.l_ptr[i + 1] - 1)
            z = :($z - lu[$(n + p)] * $(row(plan.l_col[p])))
        end
        push!(body, :($(row(i)) = $z))
    end
    for i in n:-1:1
        z = row(i)
        for p in plan.u_ptr[i]:(plan.u_ptr[i + 1] - 1)
            z = :($z - lu[$(n + length(plan.l_col) + p)] * $(row(plan.u_col[p])))
        end
        push!(body, :($(row(i)) = $z * lu[$i]))
    end
    append!(body, (:(x[$i] = $(row(i))) for i in 1:n))
    straight_code(:substitute, (:x, :lu, :b), (), body)
end
