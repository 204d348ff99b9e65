# A model that is solved for many subjects gets machine code of its own: the three kernels written out without loops or index lists.
# Every operation is the one the kernels in `pack.jl` do, in the same order, so that the numbers are the same to the last bit.

"""Addresses of a model's compiled kernels; null until the model has been used enough to be worth compiling."""
mutable struct MachineCode
    @atomic rhs::Ptr{Cvoid}  # set last: it says that all are there
    refresh::Ptr{Cvoid}
    substitute::Ptr{Cvoid}
    stage::Ptr{Cvoid}
    slopes::Ptr{Cvoid}  # of expressions, and their rates
    @atomic rates::Ptr{Cvoid}  # likewise set last
    @atomic stages::Vector{Ptr{Cvoid}}  # of a Rosenbrock step, whole or empty
    @atomic subjects::Int  # solved so far
end
MachineCode() = MachineCode(C_NULL, C_NULL, C_NULL, C_NULL, C_NULL, C_NULL, Ptr{Cvoid}[], 0)
is_compiled(code::MachineCode) = (@atomic :acquire code.rhs) != C_NULL
has_stages(code::MachineCode) = !isempty(@atomic :acquire code.stages)
has_nodes(code::MachineCode) = (@atomic :acquire code.rates) != C_NULL

"""From so many subjects on a model gets kernels of its own: they take 0.2 s to compile."""
const WORTH_COMPILING = 400

"""And from so many on its stages written out, which take seconds to compile."""
const WORTH_WRITING_STAGES = 20_000

"""The same for expressions, which take far longer to walk than to run."""
const WORTH_COMPILING_EXPRESSIONS = 64

"""Entries and operations of a model above which straight code no longer fits the processor's instruction cache."""
const MOST_OPERATIONS = 1500

"""The same for the stages, which are eight times as much code."""
const MOST_OPERATIONS_OF_STAGES = 600

"""Stages of the longest method."""
const MOST_STAGES = 8

@inline has_code(code::MachineCode, ::Type{Lanes{L,T}}) where {L,T} = L == LANES && T === Float64 && is_compiled(code)

@inline knows_nodes(code::MachineCode, ::Type{Lanes{L,T}}) where {L,T} = L == LANES && T === Float64 && has_nodes(code)

const PF = Ptr{Float64}

@inline function run_nodes!(address, p, u)
    GC.@preserve p u ccall(address, Cvoid, (PF, PF, PF), p.nodes, u, p.parameters)
    nothing
end

@inline function run_rhs!(code, du, u, p)
    GC.@preserve du u p ccall((@atomic :monotonic code.rhs), Cvoid, (PF, PF, PF, PF, PF), du, u, p.base, p.parameters, p.rate)
    nothing
end
@inline function run_refresh!(code, lu, u, p, shift)
    GC.@preserve lu u p ccall(code.refresh, Cvoid, (PF, PF, PF, PF, Float64), lu, u, p.base, p.parameters, shift)
    nothing
end
@inline function run_stage!(code, k, u, b, p, lu)
    GC.@preserve k u b p lu ccall(code.stage, Cvoid, (PF, PF, PF, PF, PF, PF, PF), k, u, b, p.base, p.parameters, p.rate, lu)
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
    if has_expressions(st)
        total >= WORTH_COMPILING_EXPRESSIONS && !has_nodes(code) || return nothing
        lock(() -> has_nodes(code) || compile_expressions!(st), PLANS_LOCK)
        return nothing
    end
    size = operations(st)
    if total >= WORTH_COMPILING && !is_compiled(code) && size <= MOST_OPERATIONS
        lock(() -> is_compiled(code) || compile!(st), PLANS_LOCK)
    end
    if total >= WORTH_WRITING_STAGES && !has_stages(code) && size <= MOST_OPERATIONS_OF_STAGES
        lock(() -> has_stages(code) || write_stages!(st), PLANS_LOCK)
    end
    nothing
end

operations(st) = length(st.row_entry) + 2 * n_entries(st) + length(st.plan.op_source) + 10 * length(st.j_entry)

function compile!(st)
    code = st.code
    code.substitute = machine_code(substitute_code(st))
    code.refresh = machine_code(refresh_code(st))
    code.stage = machine_code(solve_code(st))
    rhs = machine_code(rhs_code(st))
    @atomic :release code.rhs = rhs
    nothing
end

function write_stages!(st)
    stages = [machine_code(stage_code(st, s)) for s in 1:MOST_STAGES]
    @atomic :release st.code.stages = stages
    nothing
end

"""Compile what evaluates a model's expressions. Its other kernels stay loops: most of what such a model costs is in its expressions."""
function compile_expressions!(st)
    code, program, place = st.code, st.expressions, st.plan.place
    code.slopes = machine_code(nodes_code(program, place, program.slope))
    rates = machine_code(nodes_code(program, place, program.rate))
    @atomic :release code.rates = rates
    nothing
end

"""
A function whose body is `BODIES[ID]`, `ID` a hash of the body. It is a generated function: nothing is evaluated into a module, which
would fail while a package that uses this one is precompiled, and code kept in that package's image can't be another body's.
"""
struct Written{ID} <: Function end
const BODIES = Dict{Tuple{UInt,UInt},Expr}()
@generated (::Written{ID})(arguments::Vararg{Any,N}) where {ID,N} = BODIES[ID]

@generated function address(f::Written{ID}, ::Type{TYPES}) where {ID,TYPES}
    :(@cfunction($(f.instance), Cvoid, ($(TYPES.parameters...),)))
end

"""The address of a function given as `(its arguments' types, its body)`; see `straight_code`."""
function machine_code((types, body))
    id = (hash(body), hash(body, UInt(0x9e3779b9)))
    BODIES[id] = body
    address(Written{id}(), types)
end

row(i) = Symbol(:row, i)
entry(e) = Symbol(:entry, e)

"""A function of pointers to rows of lanes, and of `others` (name => type): the types of its arguments, and its body."""
function straight_code(rows, others, body)
    wrap = [:($r = Rows{$LANES,Float64}(Ptr{Lanes{$LANES,Float64}}($r))) for r in rows]
    block = quote
        ($(rows...), $(first.(others)...)) = arguments
        $(wrap...)
        $(body...)
        nothing
    end
    Tuple{(PF for _ in rows)...,last.(others)...}, Base.remove_linenums!(block)
end

"""Reactants and parameters of reaction m, as tuples."""
function law_arguments(st, m)
    reactants = Expr(:tuple, (row(i) for i in st.r_state[st.r_ptr[m]:(st.r_ptr[m + 1] - 1)])...)
    count = parameter_count(LAW_NAMES[st.law[m]], length(reactants.args))
    reactants, Expr(:tuple, (:(par[$(st.p_ptr[m] + j)]) for j in 0:(count - 1))...)
end

"""v of reaction m, and its slope with respect to reactant j."""
rate_code(st, m) = :(law_rate($(st.law[m]), $(law_arguments(st, m)...)))
rate_derivative_code(st, m, j) = :(law_slope($(st.law[m]), $(law_arguments(st, m)...), $j))

"""`z + gain v`, rounded as with a gain that is not known: the compiler would leave out a factor of one and fuse `v` itself."""
plus(z, v, gain) = gain == 1 ? :(plain_sum($z, $v)) : gain == -1 ? :(plain_difference($z, $v)) : :($z + $v * $gain)

load_states(st, used = 1:n_states(st)) = [:($(row(i)) = u[$i]) for i in used]

"""dy/dt of one state, from `row1`, `row2`, ... and `rate1`, `rate2`, ..."""
function slope_of_row(st, i)
    z = :(inflow[$i])
    for e in st.row_ptr[i]:(st.row_ptr[i + 1] - 1)
        z = :($z - base[$(st.row_entry[e])] * $(row(st.row_col[e])))
    end
    for m in eachindex(st.law), q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
        st.s_state[q] == i && (z = plus(z, Symbol(:rate, m), st.s_gain[q]))
    end
    z
end

function rhs_code(st)
    n, reactions = n_states(st), length(st.law)
    body = load_states(st)
    append!(body, (:($(Symbol(:rate, m)) = $(rate_code(st, m))) for m in 1:reactions))
    append!(body, (:(du[$i] = $(slope_of_row(st, i))) for i in 1:n))
    straight_code((:du, :u, :base, :par, :inflow), (), body)
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
    straight_code((:lu, :u, :base, :par), (:shift => Float64,), body)
end

substitute_code(st) = straight_code((:x, :lu, :b), (), substitution(st, i -> :(b[$i])))

"""The right-hand side at u, plus b, solved: what a stage of a Rosenbrock method does with its sums."""
function solve_code(st)
    body = load_states(st)
    append!(body, (:($(Symbol(:rate, m)) = $(rate_code(st, m))) for m in 1:length(st.law)))
    # the rows of u are not needed any more when the substitution takes their names
    append!(body, (:($(Symbol(:sum, i)) = plain_sum($(slope_of_row(st, i)), b[$i])) for i in 1:n_states(st)))
    append!(body, substitution(st, i -> Symbol(:sum, i)))
    straight_code((:x, :u, :b, :base, :par, :inflow, :lu), (), body)
end

"""`x = -(L U)^-1 b`, b by its rows."""
function substitution(st, b)
    plan = st.plan
    n = plan.n
    body = []
    for i in 1:n
        z = :(-$(b(i)))
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
end

"""
Stage s of a Rosenbrock step, whatever the method: `u = y + sum_j A_j k_j`, the right-hand side there, plus `sum_j C_j k_j / h`, solved for
`k_s`. Every operation is the one that the loops of `rosenbrock.jl` do, in the same order. Arguments: y, coefficients as in `pack.jl`,
addresses of the k, and the weights A_1 to A_(s-1) with C_1 / h to C_(s-1) / h from `MOST_STAGES` on.
"""
function stage_code(st, s)
    n, plan, V = n_states(st), st.plan, :(Lanes{$LANES,Float64})
    k(j) = Symbol(:k, j)
    body = Any[:($(k(j)) = Rows{$LANES,Float64}(Ptr{$V}(unsafe_load(ks, $j)))) for j in 1:s]
    for j in 1:(s - 1)
        push!(body, :($(Symbol(:a, j)) = splat($V, unsafe_load(weights, $j))))
        push!(body, :($(Symbol(:c, j)) = splat($V, unsafe_load(weights, $(MOST_STAGES + j)))))
    end
    earlier(weight, j, i) = :($(Symbol(weight, j)) * $(k(j))[$i])
    from_y(i) = foldl((z, j) -> :($z + $(earlier(:a, j, i))), 1:(s - 1); init = :(y[$i]))
    rest(i) = foldl((z, j) -> :($z + $(earlier(:c, j, i))), 2:(s - 1); init = earlier(:c, 1, i))
    append!(body, (:($(row(i)) = $(from_y(i))) for i in 1:n))
    append!(body, (:($(Symbol(:rate, m)) = $(rate_code(st, m))) for m in 1:length(st.law)))
    for i in 1:n
        z = s == 1 ? slope_of_row(st, i) : :(plain_sum($(slope_of_row(st, i)), $(rest(i))))
        for p in plan.l_ptr[i]:(plan.l_ptr[i + 1] - 1)
            z = :($z - lu[$(n + p)] * $(Symbol(:x, plan.l_col[p])))
        end
        push!(body, :($(Symbol(:x, i)) = $z))
    end
    for i in n:-1:1
        z = Symbol(:x, i)
        for p in plan.u_ptr[i]:(plan.u_ptr[i + 1] - 1)
            z = :($z - lu[$(n + length(plan.l_col) + p)] * $(Symbol(:x, plan.u_col[p])))
        end
        push!(body, :($(Symbol(:x, i)) = $z * lu[$i]), :($(k(s))[$i] = $(Symbol(:x, i))))
    end
    straight_code((:y, :base, :par, :inflow, :lu), (:ks => Ptr{PF}, :weights => PF), body)
end

@inline function run_written_stage!(address, ks, y, p, lu, weights, first)
    GC.@preserve ks y p lu weights begin
        ccall(
            address, Cvoid, (PF, PF, PF, PF, PF, Ptr{PF}, PF), y, p.base, p.parameters, p.rate, lu, ks, pointer(weights, first),
        )
    end
    nothing
end
