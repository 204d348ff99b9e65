# A population: packs over threads, failed packs again subject by subject.

"""Packs a thread takes at a time."""
const PACKS_PER_TURN = 4

"""
    solve(problem::PBPKProblem; method = "rodas5p", rtol = 1e-6, atol = nothing, max_steps = 100_000, max_step = Inf, threads = nthreads())

Integrate all subjects.

- `method`: one of `METHODS`
- `rtol`: relative tolerance per step; `atol`: [mg]; not given: `rtol x 1e-5 x` the subject's largest dose
- `max_steps`: steps allowed between the first and the last time; `max_step`: [h]
- `threads`: packs integrated at the same time, one task each

Returns a [`PBPKSolution`](@ref). A subject that fails has a status and NaN; the others stand.
"""
function SciMLBase.solve(
    problem::PBPKProblem; method = "rodas5p", rtol = 1e-6, atol = nothing, max_steps = 100_000, max_step = Inf,
    threads = Threads.nthreads(),
)
    s = problem.system
    subjects, n, times = n_subjects(s), n_states(s), length(problem.times)
    scale = max.(dose_scale(problem.stops, subjects), [maximum(view(problem.y0, :, column(problem.y0, i))) for i in 1:subjects])
    tolerance = atol === nothing ? ifelse.(scale .> 0, scale, 1.0) .* max(rtol * 1e-5, 1e-14) : fill(Float64(atol), subjects)
    out = Output(
        Array{Float64}(undef, length(problem.saved), times, subjects), Matrix{Float64}(undef, times, closed(s) ? subjects : 0),
        Matrix{Float64}(undef, times, subjects), Matrix{Float64}(undef, n, subjects), zeros(Int8, subjects), zeros(Int64, 2, subjects),
    )
    sums = SavedSums(s, problem.saved)
    control = Control(rtol, max_steps, max_step)
    integrate!(out, s, problem.stops, problem.times, problem.start_time, problem.y0, tolerance, sums, method, control, 1:subjects, threads)
    PBPKSolution(problem, method, out.amount, out.balance, out.given, out.final, out.status, out.steps)
end

"""Fill `out` for the given subjects, a range that starts at a pack's first subject."""
function integrate!(out, s, stops, times, start_time, y0, atol, sums, method, control, range, threads)
    order, first = sort_stops(stops, n_subjects(s))
    task = Task(s, stops, order, first, times, start_time, y0, atol, sums, control, out)
    structure = structure_of(s)
    note_use!(structure, length(range))
    packs = cld(Base.first(range), LANES):cld(last(range), LANES)
    turns = cld(length(packs), PACKS_PER_TURN)
    threads = clamp(threads, 1, min(turns, Threads.nthreads()))
    with_method(method) do algorithm
        worker() = Worker{LANES,Float64}(s, structure, algorithm, control, length(sums.ptr) - 1)
        if threads == 1
            run_packs!(worker(), task, packs, Threads.Atomic{Int}(0), turns)
        else
            taken = Threads.Atomic{Int}(0)
            crew = map(1:threads) do _
                Threads.@spawn run_packs!(worker(), task, packs, taken, turns)
            end
            foreach(wait, crew)
        end
    end
    nothing
end

function run_packs!(worker::Worker, task::Task, packs, taken, turns)
    subjects = n_subjects(task.system)
    while (turn = Threads.atomic_add!(taken, 1)) < turns
        for p in packs[(turn * PACKS_PER_TURN + 1):min((turn + 1) * PACKS_PER_TURN, end)]
            members = ((p - 1) * LANES + 1):min(p * LANES, subjects)
            mine = stops_of(task, p)
            integrate_pack!(worker, task, mine, members) == SUCCESS && continue
            for subject in members  # alone, so that only the one to blame is lost
                alone = filter(e -> task.stops.subject[e] in (0, subject), mine)
                integrate_pack!(worker, task, alone, subject:subject) == SUCCESS || lose!(task.out, subject)
            end
        end
    end
end

"""Values of a failed subject are NaN."""
function lose!(out::Output, subject)
    out.amount[:, :, subject] .= NaN
    out.final[:, subject] .= NaN
    isempty(out.balance) || (out.balance[:, subject] .= NaN)
end

"""The stops of each pack in the order of their time, KEEP before ADD and RATE. Shared stops alone are one list."""
function sort_stops(stops::StopTable, subjects)
    kind_order(e) = stops.kind[e] == KEEP ? 0 : 1
    shared(stops) && return sortperm([(stops.time[e], kind_order(e), e) for e in 1:length(stops)]), Int[]
    packs = cld(subjects, LANES)
    mine = [Int[] for _ in 1:packs]
    for e in 1:length(stops)
        stops.subject[e] == 0 ? foreach(list -> push!(list, e), mine) : push!(mine[cld(stops.subject[e], LANES)], e)
    end
    foreach(list -> sort!(list; by = e -> (stops.time[e], kind_order(e), e)), mine)
    reduce(vcat, mine; init = Int[]), cumsum([1; length.(mine)])
end

stops_of(task::Task, pack) =
    isempty(task.stop_first) ? view(task.stop_order, :) : view(task.stop_order, task.stop_first[pack]:(task.stop_first[pack + 1] - 1))
