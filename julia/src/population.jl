# A population: packs over threads, failed packs again subject by subject.

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

"""
Fill `out` for the given subjects, a range that starts at a pack's first subject, until `deadline` [ns, as `time_ns`]: then packs that have
begun are finished, and each thread does at least one. The last subject that is done.
"""
function integrate!(out, s, stops, times, start_time, y0, atol, sums, method, control, range, threads, deadline = typemax(UInt64))
    refuse_unless(a -> isfinite(a) && a > 0, "atol", atol, "numbers > 0 [mg]")
    refuse_unless(isfinite, "y0", y0, "finite amounts [mg]")
    order, first_stop = sort_stops(stops, n_subjects(s))
    job = Job(s, stops, order, first_stop, times, start_time, y0, atol, sums, control, out)
    structure = structure_of(s)
    note_use!(structure, length(range))
    packs = cld(first(range), LANES):cld(last(range), LANES)
    crew = clamp(threads, 1, min(length(packs), Threads.nthreads()))
    taken = Threads.Atomic{Int}(0)
    with_method(method) do algorithm
        worker() = Worker{LANES,Float64}(s, structure, algorithm, control, length(sums.ptr) - 1)
        if crew == 1
            run_packs!(worker(), job, packs, taken, deadline)
        else
            run_crew(crew, taken, length(packs)) do
                run_packs!(worker(), job, packs, taken, deadline)
            end
        end
    end
    min(last(range), LANES * (packs[min(taken[], end)]))
end

function refuse_unless(good, name, values, expected)
    bad = findfirst(!good, values)
    bad === nothing || throw(ArgumentError("$name: got $(values[bad]), expected $expected"))
    nothing
end

"""Run `work` on so many tasks. After an error the others stop at their next pack, and the error itself is thrown, as on one thread."""
function run_crew(work, threads, taken, packs)
    crew = map(1:threads) do _
        Threads.@spawn try
            work()
            nothing
        catch err
            taken[] = packs
            err
        end
    end
    errors = filter!(!isnothing, fetch.(crew))
    isempty(errors) || throw(errors[1])
end

function run_packs!(worker::Worker, job::Job, packs, taken, deadline)
    subjects, begun = n_subjects(job.system), false
    while !(begun && time_ns() >= deadline) && (turn = Threads.atomic_add!(taken, 1) + 1) <= length(packs)
        begun, p = true, packs[turn]
        members = ((p - 1) * LANES + 1):min(p * LANES, subjects)
        mine = stops_of(job, p)
        integrate_pack!(worker, job, mine, members) == SUCCESS && continue
        for subject in members  # alone, so that only the one to blame is lost
            alone = filter(e -> job.stops.subject[e] in (0, subject), mine)
            integrate_pack!(worker, job, alone, subject:subject) == SUCCESS || lose!(job.out, subject)
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

stops_of(job::Job, pack) =
    isempty(job.stop_first) ? view(job.stop_order, :) : view(job.stop_order, job.stop_first[pack]:(job.stop_first[pack + 1] - 1))
