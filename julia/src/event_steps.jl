# Integrating with events: steps end where a condition becomes true, found on the interpolant.

"""Conditions and values at a state."""
function evaluate_events!(w, job, state::Vector{T}) where {T}
    lanes, program, place = w.events, job.system.events.program, job.system.plan.place
    GC.@preserve lanes state walk_events!(w.pack, lanes, program, place, state)
    nothing
end

function walk_events!(::Pack{L,T}, lanes, program, place, state) where {L,T}
    walk!(Rows{L}(lanes.nodes), program, Rows{L}(state), place, Rows{L}(lanes.constants), zero(Lanes{L,T}), length(program))
end

"""Result of a condition (1 to the number of events) or a value (after them) in a lane."""
@inline event_result(lanes::EventLanes{L}, e::EventProgram, k, l) where {L} = lanes.nodes[(e.program.rate[k] - 1) * L + l]
@inline condition_holds(lanes, e, k, l) = (v = event_result(lanes, e, k, l); v != 0 && !isnan(v))
@inline is_due(lanes, e, k, l) = !lanes.holds[l, k] && !(e.once[k] && lanes.happened[l, k])

"""Let every event happen whose condition has become true; `w.y` changes in its lanes. Whether anything but a switch has happened."""
function fire!(w::Worker{L}, job) where {L}
    e, lanes, place = job.system.events, w.events, job.system.plan.place
    happened, changed = false, true
    for k in 1:length(e)
        changed && evaluate_events!(w, job, w.y)
        changed = false
        for l in 1:L
            now = condition_holds(lanes, e, k, l)
            if now && is_due(lanes, e, k, l)
                for q in e.ptr[k]:(e.ptr[k + 1] - 1)
                    w.y[(place[e.target[q]] - 1) * L + l] = event_result(lanes, e, length(e) + q, l)
                end
                lanes.happened[l, k] = changed = true
                happened |= k <= length(e) - e.switches
            end
            lanes.holds[l, k] = now
        end
    end
    happened
end

"""Whether a condition that did not hold does so at a state, in a lane with a subject; `note`: remember those that ended."""
function rising!(w::Worker{L}, job, state, count, note) where {L}
    e, lanes = job.system.events, w.events
    evaluate_events!(w, job, state)
    for k in 1:length(e), l in 1:count
        condition_holds(lanes, e, k, l) && is_due(lanes, e, k, l) && return true
    end
    if note  # only of a step that stands: one that is cut short says nothing about its end
        for k in 1:length(e), l in 1:L
            condition_holds(lanes, e, k, l) || (lanes.holds[l, k] = false)
        end
    end
    false
end

"""What a step must not change by rounding: discrete states, and time, which is `now`."""
function keep_exact!(state, before, job, now, ::Val{L}) where {L}
    place = job.system.plan.place
    for l in 1:L
        for i in job.system.events.still
            at = (place[i] - 1) * L + l
            state[at] = before[at]
        end
        state[(place[job.system.events.time] - 1) * L + l] = now
    end
end

"""The whole state at `since` after the segment's start `t`, into `w.between`."""
function exact_between!(w::Worker{L}, job, integrator, t, since) where {L}
    state_between!(w.between, integrator, since, Val(L))
    keep_exact!(w.between, integrator.uprev, job, t + since, Val(L))
end

"""Time since the segment's start at which the first event of the last step happens; the state there is left in `w.between`."""
function locate!(w, job, integrator, t, count)
    start, step = integrator.tprev, integrator.t - integrator.tprev
    low, high = 0.0, 1.0
    while high - low >= 1e-13
        middle = 0.5 * (low + high)
        exact_between!(w, job, integrator, t, start + middle * step)
        rising!(w, job, w.between, count, false) ? (high = middle) : (low = middle)
    end
    high == 1.0 ? copyto!(w.between, integrator.u) : exact_between!(w, job, integrator, t, start + high * step)
    high == 1.0 ? integrator.t : start + high * step
end

"""Stops, and events that are due, at `t`."""
function at_stop!(w, job, stops, subjects, next, t, due)
    fresh = false
    while next <= length(stops) && job.stops.time[stops[next]] <= t
        apply_stop!(w, job, stops[next], subjects)
        next += 1
        fresh = true
    end
    (fresh || due) && fire!(w, job)
    next
end

function save_until!(w::Worker{L,T}, job, row, subjects, due) where {L,T}
    while row <= length(job.times) && job.times[row] <= due
        save_row!(w, job, w.y, row, subjects, zero(T))
        row += 1
    end
    row
end

"""`run_segments!` for a system with events."""
function run_with_events!(w::Worker{L,T}, job::Job, stops, subjects) where {L,T}
    times, control, before = job.times, job.control, job.system.events.before
    fill_events!(w.events, job.system.events, subjects)
    accepted = refused = 0
    row, next, happens = 1, 1, true  # events may be due at the start
    t, last_time = job.start_time, times[end]
    while true
        before && (row = save_until!(w, job, row, subjects, t + SAME_TIME * (1 + abs(t))))
        next = at_stop!(w, job, stops, subjects, next, t, happens)
        before || (row = save_until!(w, job, row, subjects, t))
        row > length(times) && return SUCCESS, accepted, refused
        happens = false
        until = next <= length(stops) ? min(job.stops.time[stops[next]], last_time) : last_time
        span = until - t
        integrator = start_segment!(w, span, control)
        integrator.opts.maxiters = control.max_steps - accepted - refused
        integrator.stats.naccept = integrator.stats.nreject = 0
        reached = zero(T)
        while reached < span && !happens
            wants_interpolant!(integrator, true)
            code = step!(integrator)
            if !(code == ReturnCode.Success || code == ReturnCode.Default)
                return failure(code, integrator.u), accepted + integrator.stats.naccept, refused + integrator.stats.nreject
            end
            integrator.dt = integrator.t - integrator.tprev
            reached = integrator.t
            keep_exact!(integrator.u, integrator.uprev, job, reached < span ? t + reached : until, Val(L))
            happens = rising!(w, job, integrator.u, length(subjects), true)
            happens ? (reached = locate!(w, job, integrator, t, length(subjects))) : copyto!(w.between, integrator.u)
            copyto!(w.y, w.between)
            while row <= length(times) && times[row] - t < reached
                exact_between!(w, job, integrator, t, times[row] - t)
                save_row!(w, job, w.between, row, subjects, times[row] - t)
                row += 1
            end
        end
        accepted += integrator.stats.naccept
        refused += integrator.stats.nreject
        for l in 1:L
            w.put_in[l] += reached * w.flow_in[l]
        end
        t = reached < span ? t + reached : until
    end
end
