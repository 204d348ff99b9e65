# One pack after the other on one integrator: segments between stops, saved sums written straight into their place.

# failures come back as a status per subject, so that nothing is printed
const SILENT = SciMLLogging.None()

"""How to integrate; see [`solve`](@ref)."""
struct Control
    rtol::Float64
    max_steps::Int
    max_step::Float64
    function Control(rtol, max_steps, max_step)
        fail(name, got, expected) = throw(ArgumentError("$name: got $got, expected $expected"))
        0 < rtol < 1 || fail("rtol", rtol, "a number above 0 and below 1")
        max_steps > 0 || fail("max_steps", max_steps, "an integer > 0")
        max_step > 0 || fail("max_step", max_step, "a number > 0 [h]")
        new(rtol, max_steps, max_step)
    end
end

"""Where results go; shared by all threads, each subject written by one."""
struct Output
    amount::Array{Float64,3}   # saved x times x subjects
    balance::Matrix{Float64}   # times x subjects, or of no columns
    given::Matrix{Float64}     # times x subjects
    final::Matrix{Float64}     # states x subjects
    status::Vector{Int8}
    steps::Matrix{Int64}       # 2 x subjects
end

"""What every worker reads and none writes."""
struct Job
    system::PBPKSystem
    stops::StopTable
    stop_order::Vector{Int}      # stops by (pack of the subject, time, KEEP first)
    stop_first::Vector{Int}      # the stops of pack p are stop_order[stop_first[p]:stop_first[p+1]-1]
    times::Vector{Float64}
    start_time::Float64
    y0::Matrix{Float64}
    atol::Vector{Float64}        # per subject
    sums::SavedSums
    control::Control
    out::Output
end

"""One thread's integrator and scratch memory."""
mutable struct Worker{L,T,A,I}
    const pack::Pack{L,T}
    const algorithm::A
    const control::Control
    integrator::I
    const y::Vector{T}       # state at the start of a segment
    const atol::Vector{T}
    const between::Vector{T} # state at a saved time
    const sums::Vector{T}    # saved sums, and the sum of all states
    const put_in::Vector{T}  # what was given, per lane
    const flow_in::Vector{T} # sum of infusion rates, per lane
    const events::EventLanes{L,T}
    const jacobian::Vector{T} # entries of the Jacobian, where there are expressions
end

function Worker{L,T}(s::PBPKSystem, structure::Structure, algorithm, control::Control, saved::Int) where {L,T}
    pack = Pack{L,T}(structure, sum(r -> size(r.parameters, 1), s.reactions; init = 0))
    m = L * n_states(structure)
    atol = fill(T(1e-9), m)
    integrator = new_integrator(pack, algorithm, control, atol)
    Worker{L,T,typeof(algorithm),typeof(integrator)}(
        pack, algorithm, control, integrator, zeros(T, m), atol, zeros(T, m), zeros(T, L * (saved + 1)), zeros(T, L), zeros(T, L),
        EventLanes{L,T}(s.events),
        zeros(T, has_expressions(structure) ? length(pack.base) : 0),
    )
end

"""OrdinaryDiffEq's integrator for a pack; its state, span and step are set for each segment."""
function new_integrator(pack::Pack{L,T}, algorithm, control::Control, atol::Vector{T}) where {L,T}
    problem = ODEProblem{true}(pack_function(pack), zeros(T, length(pack.rate)), (zero(T), one(T)), pack)
    init(
        problem, algorithm; dt = T(1e-6), abstol = atol, reltol = T(control.rtol), internalnorm = WorstLane{L}(), save_on = false,
        save_start = false, save_end = false, save_everystep = false, dense = false, calck = true, maxiters = typemax(Int) - 1,
        dtmin = smallest_step(algorithm, T), unstable_check = never_unstable, verbose = SILENT, alias = SciMLBase.ODEAliasSpecifier(; alias_f = true),
    )
end

"""Whether a method carries a history that `reinit!` does not clear: it gets a new integrator at every stop."""
remembers(::FBDF) = true
remembers(_) = false

"""
Smallest step [h]. Every segment starts at 0 of its own clock, so that a step far below the rounding of the time of day still counts.
FBDF needs that: its first step is judged by how far the amounts move at all.
"""
smallest_step(::FBDF, ::Type{T}) where {T} = T(1e-30)
smallest_step(_, ::Type{T}) where {T} = T(1e-14)

"""
    integrate_pack!(worker, job, stops, subjects)

Integrate the subjects of one pack together, each over its own stops. Lanes without a subject hold nothing and never set the
step; where there are expressions or events, which may not be defined for nothing (a volume of zero), they are copies of the last subject.
"""
function integrate_pack!(w::Worker{L,T}, job::Job, stops, subjects) where {L,T}
    s, place = job.system, job.system.plan.place
    fill_pack!(w.pack, s, subjects)
    fill!(w.y, 0)
    fill!(w.put_in, 0)
    fill!(w.flow_in, 0)
    used = lanes_used(w, s, subjects)
    for l in 1:L
        subject = subjects[min(l, end)]
        for i in 1:n_states(s)
            at = (place[i] - 1) * L + l
            w.atol[at] = job.atol[subject]
            if l <= used
                w.y[at] = job.y0[i, column(job.y0, subject)]
                w.put_in[l] += w.y[at]
            end
        end
    end
    status, accepted, refused = isempty(s.events) ? run_segments!(w, job, stops, subjects) : run_with_events!(w, job, stops, subjects)
    if status == SUCCESS && !all(isfinite, w.y)
        status = NOT_FINITE
    end
    for (l, subject) in enumerate(subjects)
        job.out.status[subject] = status
        job.out.steps[1, subject] = accepted
        job.out.steps[2, subject] = refused
        for i in 1:n_states(s)
            job.out.final[i, subject] = w.y[(place[i] - 1) * L + l]
        end
    end
    status
end

lanes_used(::Worker{L}, s::PBPKSystem, subjects) where {L} = isempty(s.expressions) && isempty(s.events) ? length(subjects) : L

function run_segments!(w::Worker{L,T}, job::Job, stops, subjects) where {L,T}
    times, control = job.times, job.control
    accepted = refused = 0
    row, next = 1, 1
    t, last_time = job.start_time, times[end]
    while true
        # stops at t, then what is to be saved at t: an observation at the time of a dose sees the dose
        while next <= length(stops) && job.stops.time[stops[next]] <= t
            apply_stop!(w, job, stops[next], subjects)
            next += 1
        end
        while row <= length(times) && times[row] <= t
            save_row!(w, job, w.y, row, subjects, zero(T))
            row += 1
        end
        row > length(times) && return SUCCESS, accepted, refused
        until = next <= length(stops) ? min(job.stops.time[stops[next]], last_time) : last_time
        span = until - t
        integrator = start_segment!(w, span, control)
        integrator.opts.maxiters = control.max_steps - accepted - refused
        integrator.stats.naccept = integrator.stats.nreject = 0
        while integrator.t < span
            wanted = row <= length(times) && times[row] - t < 1.001 * (integrator.t + get_proposed_dt(integrator))
            wants_interpolant!(integrator, wanted)
            code = step!(integrator)
            if !(code == ReturnCode.Success || code == ReturnCode.Default)
                return failure(code, integrator.u), accepted + integrator.stats.naccept, refused + integrator.stats.nreject
            end
            integrator.dt = integrator.t - integrator.tprev  # the interpolant's step, also where a stop cut it short
            while row <= length(times) && times[row] - t < integrator.t
                state_between!(w.between, integrator, times[row] - t, Val(L))
                save_row!(w, job, w.between, row, subjects, times[row] - t)
                row += 1
            end
        end
        accepted += integrator.stats.naccept
        refused += integrator.stats.nreject
        copyto!(w.y, integrator.u)
        for l in 1:L
            w.put_in[l] += span * w.flow_in[l]
        end
        t = until
    end
end

"""
Whether the integrator keeps the coefficients of its interpolant as Rosenbrock methods do: `k[1]`, `k[2]`, ... of a polynomial in
the fraction of the step.
"""
has_polynomial(integrator) = hasproperty(integrator.cache, :interp_order) && hasproperty(integrator.cache, :ks) && integrator.cache.interp_order >= 2

"""Spare a step without saved times the work on its interpolant."""
wants_interpolant!(integrator, wanted) = has_polynomial(integrator) && (integrator.opts.calck = wanted)

"""State at time `t` of the last step: OrdinaryDiffEq's interpolant, over rows of lanes where its form is known."""
function state_between!(y::Vector{T}, integrator, t, ::Val{L}) where {L,T}
    if !has_polynomial(integrator)
        integrator(y, t)
        return nothing
    end
    k, before, after = integrator.k, integrator.uprev, integrator.u
    theta = T((t - integrator.tprev) / (integrator.t - integrator.tprev))
    rest = one(T) - theta
    GC.@preserve k y before after begin
        out, old, new = Rows{L}(y), Rows{L}(before), Rows{L}(after)
        for i in 1:(length(y) ÷ L)
            bend = Rows{L}(k[end])[i]
            for j in (length(k) - 1):-1:1
                bend = Rows{L}(k[j])[i] + theta * bend
            end
            out[i] = rest * old[i] + theta * (new[i] + rest * bend)
        end
    end
    nothing
end

"""Jump or change of rate in the lanes a stop concerns."""
function apply_stop!(w::Worker{L}, job::Job, stop, subjects) where {L}
    kind, owner, state = job.stops.kind[stop], job.stops.subject[stop], job.system.plan.place[job.stops.state[stop]]
    n = n_states(w.pack.structure)
    for l in 1:lanes_used(w, job.system, subjects)
        subject = subjects[min(l, end)]
        owner == 0 || owner == subject || continue
        value = stop_value(job.stops, stop, subject)
        at = (state - 1) * L + l
        if kind == ADD
            w.y[at] += value
            w.put_in[l] += value
        elseif kind == RATE
            w.pack.rate[at] += value
            w.flow_in[l] = sum(w.pack.rate[(i - 1) * L + l] for i in 1:n)
        else
            for i in 1:n
                w.y[(i - 1) * L + l] *= value
                w.pack.rate[(i - 1) * L + l] *= value
            end
            w.put_in[l] *= value
            w.flow_in[l] *= value
        end
    end
end

"""The integrator at the start of a segment of `span` hours, with a first step over which the fastest state moves little."""
function start_segment!(w::Worker{L,T}, span, control) where {L,T}
    if remembers(w.algorithm)
        w.integrator = new_integrator(w.pack, w.algorithm, control, w.atol)
    end
    integrator = w.integrator
    copyto!(integrator.opts.abstol, w.atol)
    reinit!(integrator, w.y; t0 = zero(T), tf = T(span), erase_sol = true, tstops = (), saveat = (), d_discontinuities = (), reset_dt = false)
    fastest = fastest_rate(w)
    first_step = fastest > 0 ? 0.5 * control.rtol^0.25 / fastest : span
    step = T(min(first_step, span, control.max_step))
    integrator.opts.dtmax = T(min(control.max_step, span))
    integrator.dt = step
    set_proposed_dt!(integrator, step)
    integrator
end

"""The largest diagonal entry of the Jacobian [1/h] at the start of a segment; of its linear part where laws are closed ones."""
function fastest_rate(w::Worker{L}) where {L}
    count = L * n_states(w.pack.structure)
    has_expressions(w.pack.structure) || return largest(w.pack.base, count)
    pack_jacobian!(w.jacobian, w.y, w.pack)
    largest(w.jacobian, count)
end
largest(entries, count) = maximum(i -> isfinite(entries[i]) ? abs(entries[i]) : zero(entries[i]), 1:count)

"""Status of a return code, for a run whose last state tried was `u`."""
function failure(code, u = ())
    code == ReturnCode.MaxIters && return MAX_STEPS
    (code in (ReturnCode.DtNaN, ReturnCode.Unstable) || !all(isfinite, u)) && return NOT_FINITE
    STEP_TOO_SMALL
end

"""Write the saved sums of state `y`, what was given and the balance, `since` h after the segment's start."""
function save_row!(w::Worker{L,T}, job::Job, y::Vector{T}, row, subjects, since) where {L,T}
    V, sums, out = Lanes{L,T}, job.sums, job.out
    everything, count, scratch = splat(V, 0), length(sums.ptr) - 1, w.sums
    GC.@preserve y scratch @inbounds begin
        state, row_of = Rows{L}(y), Rows{L}(scratch)
        for o in 1:count
            total = splat(V, 0)
            for q in sums.ptr[o]:(sums.ptr[o + 1] - 1)
                total = total + state[sums.state[q]] * sums.weight[q]
            end
            row_of[o] = total
        end
        if !isempty(out.balance)
            for i in 1:(n_states(w.pack.structure))
                everything = everything + state[i]
            end
        end
        row_of[count + 1] = everything
        for (l, subject) in enumerate(subjects)
            for o in 1:count  # neighbours in memory of the result
                out.amount[o, row, subject] = scratch[(o - 1) * L + l]
            end
            given = w.put_in[l] + since * w.flow_in[l]
            out.given[row, subject] = given
            isempty(out.balance) || (out.balance[row, subject] = scratch[count * L + l] - given)
        end
    end
end
