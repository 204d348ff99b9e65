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

one_stop(s, subject, time, kind, state, value) =
    StopTable([subject], [Float64(time)], [kind], [state], reshape(value isa Real ? [Float64(value)] : collect(Float64, value), 1, :))

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
    for e in 1:length(s)
        s.kind[e] == RATE || continue
        for f in 1:length(s)
            s.kind[f] == RATE && s.subject[f] == s.subject[e] && s.time[f] > s.time[e] || continue
            out[e] = min(out[e], s.time[f] - s.time[e])
        end
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
