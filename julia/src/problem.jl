"""
    PBPKProblem(system, stops, times; saved, start_time = 0, y0 = nothing)

One integration of a whole population.

- `times`: strictly increasing [h]; `start_time`: when `y0` holds, at most `times[1]` and the first stop
- `saved`: names of the observables whose amounts are kept; all of them if not given
- `y0`: `states x (1 or subjects)` [mg]; zero if not given
"""
struct PBPKProblem
    system::PBPKSystem
    stops::StopTable
    times::Vector{Float64}
    saved::Vector{String}
    start_time::Float64
    y0::Matrix{Float64}
end

function PBPKProblem(
    system::PBPKSystem, stops::StopTable, times; saved = sort!(collect(keys(system.observables))), start_time = 0.0, y0 = nothing,
)
    at = collect(Float64, times)
    fail(text) = throw(ArgumentError(text))
    check_times(at, start_time)
    for name in saved
        haskey(system.observables, name) || fail("saved: got $(repr(name)), expected one of $(join(sort!(collect(keys(system.observables))), ", "))")
    end
    n, count = n_states(system), n_subjects(system)
    check_stops(stops, n, count, start_time)
    y = y0 === nothing ? zeros(n, 1) : y0 isa AbstractVector ? reshape(collect(Float64, y0), :, 1) : Matrix{Float64}(y0)
    size(y, 1) == n && size(y, 2) in (1, count) || fail("y0: got shape $(size(y)), expected ($n, 1 or $count)")
    all(isfinite, y) || fail("y0: got $(first(filter(!isfinite, y))), expected finite amounts [mg]")
    PBPKProblem(system, stops, at, collect(String, saved), Float64(start_time), y)
end

"""
    PBPKSolution

- `amount`: `saved x times x subjects` [mg]; NaN for subjects that failed
- `balance`: `times x subjects` [mg], sum of all states minus what was given; of no columns if the system is not closed
- `given`: `times x subjects` [mg] given since the last reset
- `final`: `states x subjects` [mg]
- `status`: one of `SUCCESS`, `MAX_STEPS`, `STEP_TOO_SMALL`, `NOT_FINITE` per subject
- `steps`: `2 x subjects`, accepted and refused steps of the subject's pack
"""
struct PBPKSolution
    problem::PBPKProblem
    method::String
    amount::Array{Float64,3}
    balance::Matrix{Float64}
    given::Matrix{Float64}
    final::Matrix{Float64}
    status::Vector{Int8}
    steps::Matrix{Int64}
end

"""Numbers of the subjects whose integration failed."""
failed(s::PBPKSolution) = findall(!=(SUCCESS), s.status)

"""Concentration [mg/L] of a saved observable: `times x subjects`."""
function concentration(s::PBPKSolution, name)
    row = findfirst(==(name), s.problem.saved)
    row === nothing && throw(ArgumentError("name: got $(repr(name)), expected one of $(join(s.problem.saved, ", "))"))
    factor = s.problem.system.observables[name].factor
    s.amount[row, :, :] .* (length(factor) == 1 ? factor[1] : permutedims(factor))
end

function Base.show(io::IO, s::PBPKSolution)
    bad = length(failed(s))
    print(io, "PBPKSolution($(length(s.problem.saved)) saved, $(length(s.problem.times)) times, $(length(s.status)) subjects, ")
    print(io, s.method, bad == 0 ? ")" : ", $bad failed)")
end

"""How the integration of one subject ended; the same numbers as in Python."""
const SUCCESS, MAX_STEPS, STEP_TOO_SMALL, NOT_FINITE = Int8(0), Int8(1), Int8(2), Int8(3)

"""Weighted sums to save: pointers into states (in elimination order) and weights."""
struct SavedSums
    ptr::Vector{Int}
    state::Vector{Int}
    weight::Vector{Float64}
end

function SavedSums(s::PBPKSystem, names)
    ptr, state, weight = [1], Int[], Float64[]
    for name in names
        o = s.observables[name]
        append!(state, s.plan.place[o.states])
        append!(weight, o.weights)
        push!(ptr, length(state) + 1)
    end
    SavedSums(ptr, state, weight)
end

"""
    pack_problem(problem, subjects = 1:8) -> ODEProblem

The `ODEProblem` of one pack without its doses, to solve in other ways: `u` holds lanes x states in elimination order
(`problem.system.plan.order`), `p` is the [`Pack`](@ref).
"""
function pack_problem(problem::PBPKProblem, subjects = 1:min(8, n_subjects(problem.system)))
    s = problem.system
    L = length(subjects)
    pack = Pack{L,Float64}(structure_of(s), sum(r -> size(r.parameters, 1), s.reactions; init = 0))
    fill_pack!(pack, s, subjects)
    u0 = [problem.y0[state, column(problem.y0, subject)] for subject in subjects, state in s.plan.order]
    ODEProblem{true}(pack_function(pack), vec(u0), (problem.start_time, problem.times[end]), pack)
end
