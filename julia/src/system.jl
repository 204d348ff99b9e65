"""Rate laws: name => (code, fixed reactants, fixed parameters, parameters per inhibitor). The same list as in Python."""
const RATE_LAWS = Dict(
    "michaelis_menten" => (0, 1, 2, 1),
    "mass_action" => (1, 2, 1, 0),
    "hill" => (2, 1, 3, 0),
    "hill_product" => (3, 2, 3, 0),
    "enzymatic" => (4, 2, 2, 2),
)

"""
    Reaction(name, law, reactants, stoichiometry, parameters)

One rate law, its reactants (state numbers from 1), its stoichiometry (`state => amount gained per unit of v`) and its
parameters (`parameters x subjects`, or one column for all subjects alike).

`"michaelis_menten"`: `v = Vmax a / (Km (1 + sum_k i_k / Ki_k) + a)`, reactants `(a, i_1, ...)`, parameters
`(Vmax [mg/h], Km [mg], Ki_1 [mg], ...)`. `"mass_action"`: `v = k a b`, parameter `k [1/(mg h)]`. `"hill"`:
`v = k a^g / (K^g + a^g)`, parameters `(k, K, g)`; `"hill_product"`: the same times a second reactant.
`"enzymatic"`: `v = k (1 + e) a / (1 + sum_j c_j i_j + s a (1 + sum_j u_j i_j))`, reactants `(a, e, i_1, ...)`, parameters
`(k, s, c_1, u_1, ...)`.
"""
struct Reaction
    name::String
    law::String
    reactants::Vector{Int}
    stoichiometry::Vector{Pair{Int,Float64}}
    parameters::Matrix{Float64}
end

function Reaction(name, law, reactants, stoichiometry, parameters::AbstractVecOrMat)
    values = parameters isa AbstractVector ? reshape(collect(Float64, parameters), :, 1) : Matrix{Float64}(parameters)
    pairs = [Int(s) => Float64(v) for (s, v) in stoichiometry]
    Reaction(String(name), String(law), collect(Int, reactants), pairs, values)
end

"""
    Observable(states, factor; weights = ones)

A concentration: `factor [1/L]` (one, or one per subject) times the weighted sum of amounts.
"""
struct Observable
    states::Vector{Int}
    weights::Vector{Float64}
    factor::Vector{Float64}
end
function Observable(states, factor; weights = ones(length(states)))
    Observable(collect(Int, states), collect(Float64, weights), factor isa Real ? [Float64(factor)] : collect(Float64, factor))
end

"""
    PBPKSystem(states, k_row, k_col, k_value; reactions, observables, targets, n_subjects, subjects)

`dy/dt = K y + S v(y) + u(t)` in amounts [mg] and hours, for any number of subjects.

- `states`: names, in order
- `k_row`, `k_col`: positions of K's entries, from 1, each at most once
- `k_value`: `entries x subjects` [1/h], or one column (or a vector) for all subjects alike
- `reactions`: vector of [`Reaction`](@ref)
- `observables`: name => [`Observable`](@ref); every state is one too
- `targets`: name a dose may use => state number; every state is one too
"""
struct PBPKSystem
    states::Vector{String}
    k_row::Vector{Int}
    k_col::Vector{Int}
    k_value::Matrix{Float64}
    reactions::Vector{Reaction}
    observables::Dict{String,Observable}
    targets::Dict{String,Int}
    subjects::Vector{String}
    plan::EliminationPlan
end

function PBPKSystem(
    states, k_row, k_col, k_value; reactions = Reaction[], observables = Dict{String,Observable}(),
    targets = Dict{String,Int}(), n_subjects = nothing, subjects = nothing,
)
    values = k_value isa AbstractVector ? reshape(collect(Float64, k_value), :, 1) : Matrix{Float64}(k_value)
    names, rows, cols = collect(String, states), collect(Int, k_row), collect(Int, k_col)
    found = max(size(values, 2), maximum((size(r.parameters, 2) for r in reactions); init = 1))
    n_subjects = something(n_subjects, found)
    labels = subjects === nothing ? string.(0:(n_subjects - 1)) : string.(subjects)
    check_system(names, rows, cols, values, reactions, n_subjects, labels)
    obs, aims = Dict{String,Observable}(observables), Dict{String,Int}(targets)
    for (i, name) in enumerate(names)
        get!(() -> Observable([i], NaN), obs, name)
        get!(aims, name, i)
    end
    PBPKSystem(names, rows, cols, values, collect(Reaction, reactions), obs, aims, labels, plan_of(length(names), rows, cols, reactions))
end

function plan_of(n, rows, cols, reactions)
    pattern = collect(Tuple{Int,Int}, zip(rows, cols))
    for r in reactions, (to, _) in r.stoichiometry, of in r.reactants
        push!(pattern, (to, of))
    end
    plan_elimination(n, pattern)
end

function check_system(names, rows, cols, values, reactions, n_subjects, labels)
    n = length(names)
    fail(text) = throw(ArgumentError(text))
    n > 0 || fail("states: got none, expected at least one")
    allunique(names) || fail("states: names must differ, got $(names)")
    length(rows) == length(cols) == size(values, 1) ||
        fail("k_value: got $(size(values, 1)) rows, expected $(length(rows)) to fit k_row and k_col")
    size(values, 2) in (1, n_subjects) || fail("k_value: got $(size(values, 2)) columns, expected 1 or $n_subjects, one per subject")
    all(i -> 1 <= i <= n, rows) && all(i -> 1 <= i <= n, cols) || fail("k_row, k_col: expected state numbers 1 to $n")
    allunique(zip(rows, cols)) || fail("k_row, k_col: each position at most once; add the values of doubled entries")
    bad = findfirst(!isfinite, values)
    bad === nothing || fail(
        "K[$(names[rows[bad[1]]]),$(names[cols[bad[1]]])] (subject $(labels[min(bad[2], end)])): got $(values[bad]), expected a finite number",
    )
    for r in reactions
        haskey(RATE_LAWS, r.law) || fail("reaction $(r.name): unknown law $(r.law); known: $(join(sort!(collect(keys(RATE_LAWS))), ", "))")
        _, reactants, parameters, inhibitors = RATE_LAWS[r.law]
        extra = length(r.reactants) - reactants
        extra == 0 || (extra > 0 && inhibitors > 0) || fail("reaction $(r.name): got $(length(r.reactants)) reactants, expected $reactants for $(r.law)")
        size(r.parameters, 1) == parameters + inhibitors * extra ||
            fail("reaction $(r.name): got $(size(r.parameters, 1)) parameters, expected $(parameters + inhibitors * extra)")
        size(r.parameters, 2) in (1, n_subjects) || fail("reaction $(r.name): parameters for $(size(r.parameters, 2)) subjects, expected 1 or $n_subjects")
        all(isfinite, r.parameters) || fail("reaction $(r.name): a parameter is not finite")
        all(s -> 1 <= s <= n, r.reactants) && all(s -> 1 <= first(s) <= n, r.stoichiometry) || fail("reaction $(r.name): expected states 1 to $n")
    end
end

n_states(s::PBPKSystem) = length(s.states)
n_subjects(s::PBPKSystem) = length(s.subjects)
column(a::AbstractMatrix, subject) = size(a, 2) == 1 ? 1 : subject

"""Whether every amount that leaves a state enters another (sinks are states): mass balance can be checked."""
function closed(s::PBPKSystem)
    sums, sizes = zeros(n_states(s), size(s.k_value, 2)), zeros(n_states(s), size(s.k_value, 2))
    for subject in axes(s.k_value, 2), e in eachindex(s.k_col)
        sums[s.k_col[e], subject] += s.k_value[e, subject]
        sizes[s.k_col[e], subject] += abs(s.k_value[e, subject])
    end
    all(abs.(sums) .<= 1e-12 .* sizes) && all(r -> abs(sum(last, r.stoichiometry; init = 0.0)) < 1e-12, s.reactions)
end

"""v of one reaction at amounts y, with parameters p."""
function rate(r::Reaction, y, p)
    a = y[r.reactants[1]]
    r.law == "mass_action" && return p[1] * a * y[r.reactants[2]]
    r.law == "hill" && return p[1] * hill_share(a, p[2], p[3])
    r.law == "hill_product" && return p[1] * hill_share(a, p[2], p[3]) * y[r.reactants[2]]
    if r.law == "enzymatic"
        free = bound = one(a)
        for j in 3:length(r.reactants)
            free += p[2j - 3] * y[r.reactants[j]]
            bound += p[2j - 2] * y[r.reactants[j]]
        end
        return p[1] * (1 + y[r.reactants[2]]) * a / (free + p[2] * a * bound)
    end
    inhibition = one(a)
    for j in 2:length(r.reactants)
        inhibition += y[r.reactants[j]] / p[1 + j]
    end
    p[1] * a / (p[2] * inhibition + a)
end

"""
    rhs(system, y, subject = 1)

`dy/dt` [mg/h] of one subject without doses, in the order of `states`: the plain definition every fast path is checked against.
"""
function rhs(s::PBPKSystem, y::AbstractVector, subject::Integer = 1)
    out = zeros(eltype(y), n_states(s))
    for e in eachindex(s.k_row)
        out[s.k_row[e]] += s.k_value[e, column(s.k_value, subject)] * y[s.k_col[e]]
    end
    for r in s.reactions
        v = rate(r, y, view(r.parameters, :, column(r.parameters, subject)))
        for (state, gain) in r.stoichiometry
            out[state] += gain * v
        end
    end
    out
end
