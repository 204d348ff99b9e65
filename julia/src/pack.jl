# One pack: the coefficients of `L` subjects as rows of lanes, and the four kernels every method is built on. States are
# in elimination order here.

"""The integer structure of a system that all packs share; positions are rows of lanes, from 1."""
struct Structure
    n::Int
    entries::Int
    l_ptr::Vector{Int}
    l_col::Vector{Int}
    u_ptr::Vector{Int}
    u_col::Vector{Int}
    op_ptr::Vector{Int}
    op_source::Vector{Int}
    op_target::Vector{Int}
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
        n, n_entries(plan), plan.l_ptr, plan.l_col, plan.u_ptr, plan.u_col, plan.op_ptr, plan.op_source, plan.op_target,
        k_entry, row_ptr, k_entry[by_row], place[s.k_col[by_row]], law, r_ptr, r_state, p_ptr, s_ptr, s_state, s_gain, j_ptr, j_entry,
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
    Pack{L,T}(structure, zeros(T, L * structure.entries), zeros(T, L * max(1, n_parameters)), zeros(T, L * structure.n))
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

"""v of reaction m at amounts u."""
@inline function lane_rate(::Type{V}, st, par, u, m) where {V}
    @inbounds begin
        first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
        a = load(V, u, st.r_state[first])
        st.law[m] == 1 && return load(V, par, p) * a * load(V, u, st.r_state[first + 1])
        inhibition = splat(V, 1)
        for j in (first + 1):last
            inhibition = inhibition + load(V, u, st.r_state[j]) / load(V, par, p + 1 + j - first)
        end
        load(V, par, p) * a / (load(V, par, p + 1) * inhibition + a)
    end
end

"""d v / d (reactant j of reaction m) at amounts u."""
@inline function lane_rate_derivative(::Type{V}, st, par, u, m, j) where {V}
    @inbounds begin
        first, last, p = st.r_ptr[m], st.r_ptr[m + 1] - 1, st.p_ptr[m]
        a = load(V, u, st.r_state[first])
        if st.law[m] == 1
            return load(V, par, p) * (j == 1 ? load(V, u, st.r_state[first + 1]) : a)
        end
        inhibition = splat(V, 1)
        for i in (first + 1):last
            inhibition = inhibition + load(V, u, st.r_state[i]) / load(V, par, p + 1 + i - first)
        end
        km = load(V, par, p + 1)
        denominator = km * inhibition + a
        common = load(V, par, p) / (denominator * denominator)
        j == 1 ? common * km * inhibition : splat(V, 0) - common * a * km / load(V, par, p + j)
    end
end

"""`du = K u + S v(u) + rate`, lane by lane: the right-hand side of a pack's `ODEProblem`."""
function pack_rhs!(du::Vector{T}, u::Vector{T}, p::Pack{L,T}, t) where {L,T}
    V = Lanes{L,T}
    st = p.structure
    GC.@preserve du u p @inbounds begin
        for i in 1:(st.n)
            x = load(V, p.rate, i)
            for e in st.row_ptr[i]:(st.row_ptr[i + 1] - 1)
                x = x - load(V, p.base, st.row_entry[e]) * load(V, u, st.row_col[e])
            end
            store(du, i, x)
        end
        for m in eachindex(st.law)
            v = lane_rate(V, st, p.parameters, u, m)
            for q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
                i = st.s_state[q]
                store(du, i, load(V, du, i) + v * st.s_gain[q])
            end
        end
    end
    nothing
end

"""`jac = -J(u)` in LU order (K part from `p.base`)."""
function pack_jacobian!(jac::Vector{T}, u::Vector{T}, p::Pack{L,T}) where {L,T}
    V = Lanes{L,T}
    st = p.structure
    copyto!(jac, p.base)
    GC.@preserve jac u p @inbounds for m in eachindex(st.law)
        entry = st.j_ptr[m]
        for j in 1:(st.r_ptr[m + 1] - st.r_ptr[m])
            d = lane_rate_derivative(V, st, p.parameters, u, m, j)
            for q in st.s_ptr[m]:(st.s_ptr[m + 1] - 1)
                e = st.j_entry[entry]
                store(jac, e, load(V, jac, e) - d * st.s_gain[q])
                entry += 1
            end
        end
    end
    nothing
end

"""`lu` = factors of `I * shift - J` with `-J` in `jac`; the diagonal ends as inverse pivots."""
function factorise!(lu::Vector{T}, jac::Vector{T}, st::Structure, shift::T, ::Type{Lanes{L,T}}) where {L,T}
    V = Lanes{L,T}
    n = st.n
    GC.@preserve lu jac @inbounds begin
        copyto!(lu, jac)
        s = splat(V, shift)
        for i in 1:n
            store(lu, i, load(V, lu, i) + s)
        end
        for i in 1:n
            for p in st.l_ptr[i]:(st.l_ptr[i + 1] - 1)
                factor = load(V, lu, n + p) * load(V, lu, st.l_col[p])
                store(lu, n + p, factor)
                for q in st.op_ptr[p]:(st.op_ptr[p + 1] - 1)
                    e = st.op_target[q]
                    store(lu, e, load(V, lu, e) - factor * load(V, lu, st.op_source[q]))
                end
            end
            store(lu, i, splat(V, 1) / load(V, lu, i))
        end
    end
    nothing
end

"""`x = sign * (L U)^-1 b`; `x` and `b` may be the same array."""
function substitute!(x::Vector{T}, lu::Vector{T}, b::Vector{T}, st::Structure, sign::T, ::Type{Lanes{L,T}}) where {L,T}
    V = Lanes{L,T}
    n = st.n
    first_u = n + length(st.l_col)
    GC.@preserve x lu b @inbounds begin
        for i in 1:n
            z = load(V, b, i) * sign
            for p in st.l_ptr[i]:(st.l_ptr[i + 1] - 1)
                z = z - load(V, lu, n + p) * load(V, x, st.l_col[p])
            end
            store(x, i, z)
        end
        for i in n:-1:1
            z = load(V, x, i)
            for p in st.u_ptr[i]:(st.u_ptr[i + 1] - 1)
                z = z - load(V, lu, first_u + p) * load(V, x, st.u_col[p])
            end
            store(x, i, z * load(V, lu, i))
        end
    end
    nothing
end
