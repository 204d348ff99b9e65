"""
    Reaction(name, law, reactants, stoichiometry, parameters)

One rate law, its reactants (state numbers from 1), its stoichiometry (`state => amount gained per unit of v`) and its
parameters (`parameters x subjects`, or one column for all subjects alike).

Law `"expression"`: the system's `expressions` hold the rate, an [`ExpressionProgram`](@ref).

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
    length(weights) == length(states) ||
        throw(ArgumentError("weights: got $(length(weights)) for $(length(states)) states, expected one per state"))
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
    expressions::ExpressionProgram
    events::EventProgram
end

function PBPKSystem(
    states, k_row, k_col, k_value; reactions = Reaction[], observables = Dict{String,Observable}(),
    targets = Dict{String,Int}(), n_subjects = nothing, subjects = nothing, expressions = ExpressionProgram(),
    events = EventProgram(),
)
    values = k_value isa AbstractVector ? reshape(collect(Float64, k_value), :, 1) : Matrix{Float64}(k_value)
    names, rows, cols = collect(String, states), collect(Int, k_row), collect(Int, k_col)
    found = max(size(values, 2), maximum((size(r.parameters, 2) for r in reactions); init = 1))
    n_subjects = something(n_subjects, found)
    n_subjects >= 1 || throw(ArgumentError("n_subjects: got $n_subjects, expected at least one"))
    labels = subjects === nothing ? string.(0:(n_subjects - 1)) : string.(subjects)
    check_system(names, rows, cols, values, reactions, n_subjects, labels)
    check_expressions(expressions, length(names), reactions)
    check_events(events, length(names), n_subjects)
    obs, aims = Dict{String,Observable}(observables), Dict{String,Int}(targets)
    check_names(obs, aims, length(names), n_subjects)
    for (i, name) in enumerate(names)
        get!(() -> Observable([i], NaN), obs, name)
        get!(aims, name, i)
    end
    PBPKSystem(names, rows, cols, values, collect(Reaction, reactions), obs, aims, labels, plan_of(length(names), rows, cols, reactions), expressions, events)
end

function check_names(observables, targets, n, n_subjects)
    fail(text) = throw(ArgumentError(text))
    for (name, o) in observables
        all(i -> 1 <= i <= n, o.states) || fail("observable $name: got state $(first(filter(i -> !(1 <= i <= n), o.states))), expected 1 to $n")
        length(o.weights) == length(o.states) || fail("observable $name: $(length(o.weights)) weights for $(length(o.states)) states")
        all(isfinite, o.weights) || fail("observable $name: a weight is not finite")
        length(o.factor) in (1, n_subjects) || fail("observable $name: factors for $(length(o.factor)) subjects, expected 1 or $n_subjects")
    end
    for (name, state) in targets
        1 <= state <= n || fail("target $name: got state $state, expected 1 to $n")
    end
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
        r.law == "expression" || check_parameters(r)
        size(r.parameters, 2) in (1, n_subjects) || fail("reaction $(r.name): parameters for $(size(r.parameters, 2)) subjects, expected 1 or $n_subjects")
        all(isfinite, r.parameters) || fail("reaction $(r.name): a parameter is not finite")
        all(s -> 1 <= s <= n, r.reactants) && all(s -> 1 <= first(s) <= n, r.stoichiometry) || fail("reaction $(r.name): expected states 1 to $n")
    end
end

function check_parameters(r::Reaction)
    fail(text) = throw(ArgumentError("reaction $(r.name): $text"))
    _, reactants, _, inhibitors = RATE_LAWS[r.law]
    extra = length(r.reactants) - reactants
    extra == 0 || (extra > 0 && inhibitors > 0) || fail("got $(length(r.reactants)) reactants, expected $reactants for $(r.law)")
    wanted = parameter_count(r.law, length(r.reactants))
    size(r.parameters, 1) == wanted || fail("got $(size(r.parameters, 1)) parameters, expected $wanted")
end

expression_reactions(reactions) = filter(r -> r.law == "expression", reactions)

check_expressions(program::ExpressionProgram, n, reactions) = check_expressions(
    program, n, sum(r -> size(r.parameters, 1), reactions; init = 0), [length(r.reactants) for r in expression_reactions(reactions)],
)

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

"""
    rhs(system, y, subject = 1)

`dy/dt` [mg/h] of one subject without doses, in the order of `states`: the plain definition every fast path is checked against.
"""
function rhs(s::PBPKSystem, y::AbstractVector, subject::Integer = 1)
    out = zeros(eltype(y), n_states(s))
    for e in eachindex(s.k_row)
        out[s.k_row[e]] += s.k_value[e, column(s.k_value, subject)] * y[s.k_col[e]]
    end
    nodes, which = expression_values(s, y, subject), 0
    for r in s.reactions
        p = view(r.parameters, :, column(r.parameters, subject))
        v = r.law == "expression" ? nodes[s.expressions.rate[which += 1]] : law_rate(RATE_LAWS[r.law][1], view(y, r.reactants), p)
        for (state, gain) in r.stoichiometry
            out[state] += gain * v
        end
    end
    out
end

"""Results of the operations of a system's rates at amounts y of one subject."""
function expression_values(s::PBPKSystem, y, subject)
    nodes = zeros(eltype(y), s.expressions.rates_end)
    p = reduce(vcat, (r.parameters[:, column(r.parameters, subject)] for r in s.reactions); init = Float64[])
    walk!(nodes, s.expressions, y, eachindex(y), p, zero(eltype(y)), s.expressions.rates_end)
    nodes
end
