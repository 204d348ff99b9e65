# One pack: the coefficients of `L` subjects as rows of lanes, and the four kernels every method is built on. States are
# in elimination order here.

"""
The integer structure of a system that all packs share; positions are rows of lanes, from 1. Systems of one shape share one.
"""
struct Structure
    plan::EliminationPlan
    k_entry::Vector{Int}  # LU entry of each value of K
    row_ptr::Vector{Int}  # K by rows in elimination order: entries and columns
    row_entry::Vector{Int}
    row_col::Vector{Int}
    law::Vector{Int}
    r_ptr::Vector{Int}  # reactants
    r_state::Vector{Int}
    p_ptr::Vector{Int}  # first parameter
    s_ptr::Vector{Int}  # stoichiometry
    s_state::Vector{Int}
    s_gain::Vector{Float64}
    j_ptr::Vector{Int}  # LU entries of d v / d reactant: reactant by reactant, stoichiometric states inside
    j_entry::Vector{Int}
    rate_node::Vector{Int}  # operation that gives a reaction's rate; 0: its law is a closed one
    slope_node::Vector{Int}  # and that of each reactant's slope
    expressions::ExpressionProgram
    code::MachineCode
end

n_states(s::Structure) = s.plan.n
n_entries(s::Structure) = n_entries(s.plan)
has_expressions(s::Structure) = !isempty(s.expressions)

const STRUCTURES = Dict{Any,Structure}()

"""The structure of a system's shape; shapes seen before are remembered, with the code that was compiled for them."""
function structure_of(s::PBPKSystem)
    shape = (n_states(s), s.k_row, s.k_col, [(r.law, r.reactants, r.stoichiometry) for r in s.reactions], shape_of(s.expressions))
    lock(PLANS_LOCK) do
        haskey(STRUCTURES, shape) && return STRUCTURES[shape]
        length(STRUCTURES) > 64 && empty!(STRUCTURES)
        STRUCTURES[deepcopy(shape)] = Structure(s)
    end
end

function Structure(s::PBPKSystem)
    plan = s.plan
    n, place = plan.n, plan.place
    k_entry = [plan.position[(r, c)] for (r, c) in zip(s.k_row, s.k_col)]
    by_row = sortperm([(place[s.k_row[e]], place[s.k_col[e]]) for e in eachindex(s.k_row)])
    row_ptr = [searchsortedfirst(place[s.k_row[by_row]], i) for i in 1:(n + 1)]
    law, r_ptr, r_state, p_ptr, s_ptr, s_state, s_gain = Int[], [1], Int[], Int[], [1], Int[], Float64[]
    j_ptr, j_entry, parameters = Int[], Int[], 1
    rate_node, slope_node, slopes = Int[], Int[], 0
    for r in s.reactions
        push!(law, RATE_LAWS[r.law][1])
        written = r.law == "expression"
        push!(rate_node, written ? s.expressions.rate[count(==(law[end]), law)] : 0)
        append!(slope_node, (written ? s.expressions.slope[slopes + j] : 0 for j in eachindex(r.reactants)))
        slopes += written ? length(r.reactants) : 0
        append!(r_state, place[r.reactants])
        push!(r_ptr, length(r_state) + 1)
        push!(p_ptr, parameters)
        parameters += size(r.parameters, 1)
        append!(s_state, (place[state] for (state, _) in r.stoichiometry))
        append!(s_gain, (gain for (_, gain) in r.stoichiometry))
        push!(s_ptr, length(s_state) + 1)
        push!(j_ptr, length(j_entry) + 1)
        append!(j_entry, (plan.position[(to, of)] for of in r.reactants for (to, _) in r.stoichiometry))
    end
    Structure(
        plan, k_entry, row_ptr, k_entry[by_row], place[s.k_col[by_row]], law, r_ptr, r_state, p_ptr, s_ptr, s_state, s_gain, j_ptr, j_entry,
        rate_node, slope_node, s.expressions, MachineCode(),
    )
end

"""
    Pack{L,T}

The parameters `p` of one pack's `ODEProblem`: minus K in LU order, reaction parameters, infusion rates. The vectors hold lanes
([`Lanes`](@ref)); the same Pack is filled again for the next `L` subjects.
"""
struct Pack{L,T}
    structure::Structure
    base::Vector{T}
    parameters::Vector{T}
    rate::Vector{T}
    nodes::Vector{T}  # results of the operations of expressions
end

function Pack{L,T}(structure::Structure, n_parameters::Int) where {L,T}
    Pack{L,T}(structure, zeros(T, L * n_entries(structure)), zeros(T, L * max(1, n_parameters)), zeros(T, L * n_states(structure)), zeros(T, L * length(structure.expressions)))
end

"""Coefficients of the given subjects into the lanes; lanes left over repeat the last one."""
function fill_pack!(p::Pack{L}, s::PBPKSystem, subjects) where {L}
    for l in 1:L
        subject = subjects[min(l, end)]
        k = column(s.k_value, subject)
        @inbounds for e in eachindex(p.structure.k_entry)
            p.base[(p.structure.k_entry[e] - 1) * L + l] = -s.k_value[e, k]
        end
        at = 0
        for r in s.reactions
            c = column(r.parameters, subject)
            for j in axes(r.parameters, 1)
                p.parameters[at * L + l] = r.parameters[j, c]
                at += 1
            end
        end
    end
    fill!(p.rate, 0)
    p
end

"""The index lists of a structure by their addresses, for the kernels. The caller keeps the structure alive."""
@inline function addresses(st::Structure)
    plan = st.plan
    (
        n = plan.n, reactions = length(st.law), l_ptr = Indices(plan.l_ptr), l_col = Indices(plan.l_col), u_ptr = Indices(plan.u_ptr),
        u_col = Indices(plan.u_col), first_u = plan.n + length(plan.l_col), op_ptr = Indices(plan.op_ptr), op_source = Indices(plan.op_source),
        op_target = Indices(plan.op_target), row_ptr = Indices(st.row_ptr), row_entry = Indices(st.row_entry), row_col = Indices(st.row_col),
        law = Indices(st.law), r_ptr = Indices(st.r_ptr), r_state = Indices(st.r_state), p_ptr = Indices(st.p_ptr), s_ptr = Indices(st.s_ptr),
        s_state = Indices(st.s_state), s_gain = pointer(st.s_gain), j_ptr = Indices(st.j_ptr), j_entry = Indices(st.j_entry),
        rate_node = Indices(st.rate_node), slope_node = Indices(st.slope_node),
    )
end

"""Reactants of one reaction in rows of lanes, by their number in its law."""
struct Reactants{L,T}
    u::Rows{L,T}
    state::Indices
    before::Int
    count::Int
end
@inline Base.getindex(r::Reactants, j) = r.u[r.state[r.before + j]]
@inline Base.length(r::Reactants) = r.count

"""Rows of lanes from one on: the parameters of one reaction."""
struct RowsFrom{L,T}
    rows::Rows{L,T}
    before::Int
end
@inline Base.getindex(r::RowsFrom, j) = r.rows[r.before + j]

@inline reactants_of(st, u, m) = Reactants(u, st.r_state, st.r_ptr[m] - 1, st.r_ptr[m + 1] - st.r_ptr[m])
@inline parameters_of(st, par, m) = RowsFrom(par, st.p_ptr[m] - 1)

"""v of reaction m at amounts u."""
@inline lane_rate(st, par, u, nodes, m) =
    st.law[m] == 5 ? nodes[st.rate_node[m]] : law_rate(st.law[m], reactants_of(st, u, m), parameters_of(st, par, m))

"""d v / d (reactant j of reaction m) at amounts u."""
@inline lane_rate_derivative(st, par, u, nodes, m, j) =
    st.law[m] == 5 ? nodes[st.slope_node[st.r_ptr[m] + j - 1]] : law_slope(st.law[m], reactants_of(st, u, m), parameters_of(st, par, m), j)

"""The rates of all reactions of law expression at u, into `p.nodes`."""
function evaluate_rates!(p::Pack{L,T}, u::Vector{T}) where {L,T}
    code = p.structure.code
    knows_nodes(code, Lanes{L,T}) ? run_nodes!(code.rates, p, u) : walk_nodes!(p, u, p.structure.expressions.rates_end)
end

"""Their slopes."""
function evaluate_slopes!(p::Pack{L,T}, u::Vector{T}) where {L,T}
    code = p.structure.code
    knows_nodes(code, Lanes{L,T}) ? run_nodes!(code.slopes, p, u) : walk_nodes!(p, u, length(p.structure.expressions))
end

function walk_nodes!(p::Pack{L,T}, u::Vector{T}, count) where {L,T}
    GC.@preserve p u begin
        walk!(Rows{L}(p.nodes), p.structure.expressions, Rows{L}(u), p.structure.plan.place, Rows{L}(p.parameters), zero(Lanes{L,T}), count)
    end
end

"""`du = K u + S v(u) + rate`, lane by lane: the right-hand side of a pack's `ODEProblem`."""
function pack_rhs!(du::Vector{T}, u::Vector{T}, p::Pack{L,T}, t) where {L,T}
    code = p.structure.code
    has_code(code, Lanes{L,T}) && return run_rhs!(code, du, u, p)
    has_expressions(p.structure) && evaluate_rates!(p, u)
    GC.@preserve du u p begin
        st = addresses(p.structure)
        x, y, base, par, inflow = Rows{L}(du), Rows{L}(u), Rows{L}(p.base), Rows{L}(p.parameters), Rows{L}(p.rate)
        nodes = Rows{L}(p.nodes)
        for i in 1:(st.n)
            z = inflow[i]
            for e in st.row_ptr[i]:(st.row_ptr[i + 1] - 1)
                z = z - base[st.row_entry[e]] * y[st.row_col[e]]
            end
            x[i] = z
        end
        for m in 1:(st.reactions)
            v = lane_rate(st, par, y, nodes, m)
            for q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
                i = st.s_state[q]
                x[i] = x[i] + v * unsafe_load(st.s_gain, q)
            end
        end
    end
    nothing
end

"""`jac = -J(u)` in LU order (K part from `p.base`)."""
function pack_jacobian!(jac::Vector{T}, u::Vector{T}, p::Pack{L,T}) where {L,T}
    copyto!(jac, p.base)
    has_expressions(p.structure) && evaluate_slopes!(p, u)
    GC.@preserve jac u p begin
        st = addresses(p.structure)
        out, y, par, nodes = Rows{L}(jac), Rows{L}(u), Rows{L}(p.parameters), Rows{L}(p.nodes)
        for m in 1:(st.reactions)
            entry = st.j_ptr[m]
            for j in 1:(st.r_ptr[m + 1] - st.r_ptr[m])
                d = lane_rate_derivative(st, par, y, nodes, m, j)
                for q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
                    e = st.j_entry[entry]
                    out[e] = out[e] - d * unsafe_load(st.s_gain, q)
                    entry += 1
                end
            end
        end
    end
    nothing
end

"""`lu` = factors of `I * shift - J(u)`; the diagonal ends as inverse pivots."""
function refresh!(lu::Vector{T}, u::Vector{T}, p::Pack{L,T}, shift::T) where {L,T}
    code = p.structure.code
    has_code(code, Lanes{L,T}) && return run_refresh!(code, lu, u, p, shift)
    pack_jacobian!(lu, u, p)
    GC.@preserve lu p begin
        st, f = addresses(p.structure), Rows{L}(lu)
        for i in 1:(st.n)
            f[i] = f[i] + shift
        end
        for i in 1:(st.n)
            for p in st.l_ptr[i]:(st.l_ptr[i + 1] - 1)
                factor = f[st.n + p] * f[st.l_col[p]]
                f[st.n + p] = factor
                for q in st.op_ptr[p]:(st.op_ptr[p + 1] - 1)
                    e = st.op_target[q]
                    f[e] = f[e] - factor * f[st.op_source[q]]
                end
            end
            f[i] = 1.0 / f[i]
        end
    end
    nothing
end

"""`x = -(L U)^-1 b`; `x` and `b` may be the same array."""
function substitute!(x::Vector{T}, lu::Vector{T}, b::Vector{T}, structure::Structure, ::Type{Lanes{L,T}}) where {L,T}
    has_code(structure.code, Lanes{L,T}) && return run_substitute!(structure.code, x, lu, b)
    GC.@preserve x lu b structure begin
        st, f, y, r = addresses(structure), Rows{L}(lu), Rows{L}(x), Rows{L}(b)
        for i in 1:(st.n)
            z = -r[i]
            for p in st.l_ptr[i]:(st.l_ptr[i + 1] - 1)
                z = z - f[st.n + p] * y[st.l_col[p]]
            end
            y[i] = z
        end
        for i in (st.n):-1:1
            z = y[i]
            for p in st.u_ptr[i]:(st.u_ptr[i + 1] - 1)
                z = z - f[st.first_u + p] * y[st.u_col[p]]
            end
            y[i] = z * f[i]
        end
    end
    nothing
end
