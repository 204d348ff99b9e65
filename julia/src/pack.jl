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
    code::MachineCode
end

n_states(s::Structure) = s.plan.n
n_entries(s::Structure) = n_entries(s.plan)

const STRUCTURES = Dict{Any,Structure}()

"""The structure of a system's shape; shapes seen before are remembered, with the code that was compiled for them."""
function structure_of(s::PBPKSystem)
    shape = (n_states(s), s.k_row, s.k_col, [(r.law, r.reactants, r.stoichiometry) for r in s.reactions])
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
    for r in s.reactions
        push!(law, RATE_LAWS[r.law][1])
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
        MachineCode(),
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
end

function Pack{L,T}(structure::Structure, n_parameters::Int) where {L,T}
    Pack{L,T}(structure, zeros(T, L * n_entries(structure)), zeros(T, L * max(1, n_parameters)), zeros(T, L * n_states(structure)))
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
    )
end

"""`1 + sum_k i_k / Ki_k` of a Michaelis-Menten reaction."""
@inline function inhibition(st, par::Rows{L,T}, u, first, last, p) where {L,T}
    total = splat(Lanes{L,T}, 1)
    for j in (first + 1):last
        total = total + u[st.r_state[j]] / par[p + 1 + j - first]
    end
    total
end

"""`1 + sum_j c_j i_j` and `1 + sum_j u_j i_j` of an enzymatic reaction."""
@inline function inhibition_pair(st, par::Rows{L,T}, u, first, last, p) where {L,T}
    free = bound = splat(Lanes{L,T}, 1)
    for j in (first + 2):last
        i = u[st.r_state[j]]
        free = free + par[p + 2 * (j - first) - 2] * i
        bound = bound + par[p + 2 * (j - first) - 1] * i
    end
    free, bound
end

"""v of reaction m at amounts u."""
@inline function lane_rate(st, par, u, m)
    first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
    a = u[st.r_state[first]]
    st.law[m] == 1 && return par[p] * a * u[st.r_state[first + 1]]
    if st.law[m] == 4
        free, bound = inhibition_pair(st, par, u, first, last, p)
        return par[p] * (1.0 + u[st.r_state[first + 1]]) * a / (free + par[p + 1] * a * bound)
    end
    if st.law[m] >= 2
        v = par[p] * hill_share(a, par[p + 1], par[p + 2])
        return st.law[m] == 3 ? v * u[st.r_state[first + 1]] : v
    end
    par[p] * a / (par[p + 1] * inhibition(st, par, u, first, last, p) + a)
end

"""d v / d (reactant j of reaction m) at amounts u."""
@inline function lane_rate_derivative(st, par, u, m, j)
    first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
    a = u[st.r_state[first]]
    st.law[m] == 1 && return par[p] * (j == 1 ? u[st.r_state[first + 1]] : a)
    if st.law[m] == 4
        free, bound = inhibition_pair(st, par, u, first, last, p)
        sa = par[p + 1] * a
        over = 1.0 / (free + sa * bound)
        j == 2 && return par[p] * a * over
        active = par[p] * (1.0 + u[st.r_state[first + 1]]) * over * over
        return j == 1 ? active * free : 0.0 - active * a * (par[p + 2j - 4] + sa * par[p + 2j - 3])
    end
    if st.law[m] >= 2
        j == 2 && return par[p] * hill_share(a, par[p + 1], par[p + 2])
        d = par[p] * hill_slope(a, par[p + 1], par[p + 2])
        return st.law[m] == 3 ? d * u[st.r_state[first + 1]] : d
    end
    km = par[p + 1]
    free = km * inhibition(st, par, u, first, last, p)
    denominator = free + a
    common = par[p] / (denominator * denominator)
    j == 1 ? common * free : 0.0 - common * a * km / par[p + j]
end

"""`du = K u + S v(u) + rate`, lane by lane: the right-hand side of a pack's `ODEProblem`."""
function pack_rhs!(du::Vector{T}, u::Vector{T}, p::Pack{L,T}, t) where {L,T}
    code = p.structure.code
    has_code(code, Lanes{L,T}) && return run_rhs!(code, du, u, p)
    GC.@preserve du u p begin
        st = addresses(p.structure)
        x, y, base, par, inflow = Rows{L}(du), Rows{L}(u), Rows{L}(p.base), Rows{L}(p.parameters), Rows{L}(p.rate)
        for i in 1:(st.n)
            z = inflow[i]
            for e in st.row_ptr[i]:(st.row_ptr[i + 1] - 1)
                z = z - base[st.row_entry[e]] * y[st.row_col[e]]
            end
            x[i] = z
        end
        for m in 1:(st.reactions)
            v = lane_rate(st, par, y, m)
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
    GC.@preserve jac u p begin
        st = addresses(p.structure)
        out, y, par = Rows{L}(jac), Rows{L}(u), Rows{L}(p.parameters)
        for m in 1:(st.reactions)
            entry = st.j_ptr[m]
            for j in 1:(st.r_ptr[m + 1] - st.r_ptr[m])
                d = lane_rate_derivative(st, par, y, m, j)
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
