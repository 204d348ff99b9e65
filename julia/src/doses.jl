# What happens to the state at a stop. KEEP multiplies all amounts and infusion rates (0 resets, 1 keeps).
const ADD, RATE, KEEP = 0, 1, 2

"""
    StopTable(subject, time, kind, state, value)

What happens when: `subject` (from 1, or 0 for all), `time` [h], `kind` (`ADD` mg, `RATE` change of infusion rate mg/h, or
`KEEP`), `state` (from 1) and `value` (one per stop, or `stops x subjects` where every stop is shared). Built by
[`bolus`](@ref), [`infusion`](@ref) and [`reset_at`](@ref), joined by `+`.
"""
struct StopTable
    subject::Vector{Int}
    time::Vector{Float64}
    kind::Vector{Int}
    state::Vector{Int}
    value::Matrix{Float64}  # stops x (1 or subjects)
end
StopTable() = StopTable(Int[], Float64[], Int[], Int[], zeros(0, 1))
Base.length(s::StopTable) = length(s.time)
shared(s::StopTable) = all(iszero, s.subject)

function Base.:+(a::StopTable, b::StopTable)
    subjects = max(size(a.value, 2), size(b.value, 2))
    wide(v) = size(v, 2) == subjects ? v : repeat(v, 1, subjects)
    StopTable([a.subject; b.subject], [a.time; b.time], [a.kind; b.kind], [a.state; b.state], [wide(a.value); wide(b.value)])
end

stop_value(s::StopTable, stop, subject) = s.value[stop, column(s.value, subject)]

function target(s::PBPKSystem, name)
    haskey(s.targets, name) && return s.targets[name]
    throw(ArgumentError("target: got $(repr(name)), expected one of $(join(sort!(collect(keys(s.targets))), ", "))"))
end

function one_stop(s, subject, time, kind, state, value)
    0 <= subject <= n_subjects(s) || throw(ArgumentError("subject: got $subject, expected 0 (all) or a number from 1 to $(n_subjects(s))"))
    StopTable([subject], [Float64(time)], [kind], [state], reshape(value isa Real ? [Float64(value)] : collect(Float64, value), 1, :))
end

"""Refuse stops that cannot be: fields of different lengths, numbers that are not finite, kinds, states or subjects there are none of."""
function check_stops(s::StopTable, n_states, n_subjects, start_time)
    fail(text) = throw(ArgumentError(text))
    count = length(s.time)
    length(s.subject) == length(s.kind) == length(s.state) == count && size(s.value, 1) in (count, 0) ||
        fail("stops: subject, time, kind, state and value are of different lengths")
    count == 0 && return nothing
    bad = findfirst(!isfinite, s.time)
    bad === nothing || fail("stops: time $bad is $(s.time[bad]), expected a finite number [h]")
    minimum(s.time) >= start_time || fail("stops: one lies at $(minimum(s.time)) h, before start_time $start_time h")
    size(s.value) in ((count, 1), (count, n_subjects)) || fail("stops: values for $(size(s.value, 2)) subjects, expected 1 or $n_subjects")
    all(isfinite, s.value) || fail("stops: got a dose, rate or factor of $(first(filter(!isfinite, s.value))), expected finite numbers")
    all(in((ADD, RATE, KEEP)), s.kind) || fail("stops: a kind is none of ADD ($ADD), RATE ($RATE) and KEEP ($KEEP)")
    all(i -> 0 <= i <= n_subjects, s.subject) || fail("stops: a subject number is outside 0 to $n_subjects")
    all(i -> 1 <= i <= n_states, s.state) || fail("stops: a state number is outside 1 to $n_states")
    nothing
end

function check_times(times, start_time)
    fail(text) = throw(ArgumentError(text))
    isempty(times) && fail("times: got none, expected at least one [h]")
    bad = findfirst(!isfinite, times)
    bad === nothing || fail("times: number $bad is $(times[bad]), expected finite numbers [h]")
    issorted(times; lt = <=) || fail("times: expected strictly increasing values")
    isfinite(start_time) && start_time <= times[1] || fail("start_time: got $start_time, expected at most the first time $(times[1]) h")
    nothing
end

"""`amount` [mg] (one, or one per subject) into `target` at `time` [h]; `subject` 0 means everyone."""
bolus(s::PBPKSystem, name, amount; time = 0.0, subject = 0) = one_stop(s, subject, time, ADD, target(s, name), amount)

"""`amount` [mg] into `target` over `duration` [h], from `time` [h] on."""
function infusion(s::PBPKSystem, name, amount, duration; time = 0.0, subject = 0)
    duration > 0 || throw(ArgumentError("duration: got $duration, expected a number > 0 [h]"))
    state = target(s, name)
    one_stop(s, subject, time, RATE, state, amount ./ duration) + one_stop(s, subject, time + duration, RATE, state, .-(amount ./ duration))
end

"""Everything to zero at `time` [h], infusions too."""
reset_at(s::PBPKSystem, time; subject = 0) = one_stop(s, subject, time, KEEP, 1, 0.0)

"""
Time [h] until a rate of the same owner changes again, at most 1; 1 for other kinds.
"""
function running(s::StopTable)
    out = ones(length(s))
    rates = sort!(findall(==(RATE), s.kind); by = e -> (s.subject[e], s.time[e]))
    later = length(rates)  # the next change of the same owner at a later time, from behind
    for i in (length(rates) - 1):-1:1
        this, next = rates[i], rates[i + 1]
        s.subject[this] == s.subject[next] || continue
        s.time[next] > s.time[this] && (later = i + 1)
        after = rates[later]
        s.subject[after] == s.subject[this] && s.time[after] > s.time[this] && (out[this] = min(1.0, s.time[after] - s.time[this]))
    end
    out
end

"""
Largest single dose per subject [mg], for tolerances. An infusion counts with what it gives in its first hour, or until the next
change of a rate if that is sooner.
"""
function dose_scale(s::StopTable, subjects::Int)
    scale, hours = zeros(subjects), running(s)
    size_of(e, i) = s.kind[e] == KEEP ? 0.0 : s.kind[e] == RATE ? max(stop_value(s, e, i), 0.0) * hours[e] : abs(stop_value(s, e, i))
    for e in 1:length(s), i in (s.subject[e] == 0 ? (1:subjects) : (s.subject[e]:s.subject[e]))
        scale[i] = max(scale[i], size_of(e, i))
    end
    scale
end
