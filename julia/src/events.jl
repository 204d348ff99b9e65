# Events: what happens when a condition over the states becomes true; the same rules as in Python's embedded backend.

"""Two times are the same if they differ by less than this share of them; more than conditions allow for."""
const SAME_TIME = 3e-11

"""
    EventProgram

- `program`: operations whose `rate`s are first the conditions, then the values that events set; its parameters are the constants
- `ptr`: event k sets the states `target[ptr[k]:ptr[k+1]-1]`, in that order, to the values of the same numbers
- `once`: at most one time
- `constants`: constants x (1 or subjects)
- `still`: states that only events change; `time`: the state that is time
- `before`: what is saved at the time of an event is the state before it
- `switches`: so many of the last events only say on which side of a threshold a state is
"""
struct EventProgram
    program::ExpressionProgram
    ptr::Vector{Int}
    target::Vector{Int}
    once::Vector{Bool}
    constants::Matrix{Float64}
    still::Vector{Int}
    time::Int
    before::Bool
    switches::Int
end
EventProgram() = EventProgram(ExpressionProgram(), [1], Int[], Bool[], zeros(0, 1), Int[], 0, false, 0)
Base.isempty(e::EventProgram) = isempty(e.once)
Base.length(e::EventProgram) = length(e.once)

function check_events(e::EventProgram, n_states, n_subjects)
    isempty(e) && return nothing
    fail(text) = throw(ArgumentError("events: $text"))
    check_expressions(e.program, n_states, size(e.constants, 1), Int[], length(e) + length(e.target))
    length(e.ptr) == length(e) + 1 && e.ptr[end] == length(e.target) + 1 && issorted(e.ptr) || fail("lists of different lengths")
    all(i -> 1 <= i <= n_states, (e.target..., e.still..., e.time)) || fail("a state number is outside 1 to $n_states")
    size(e.constants, 2) in (1, n_subjects) || fail("constants for $(size(e.constants, 2)) subjects, expected 1 or $n_subjects")
    0 <= e.switches <= length(e) || fail("$(e.switches) switches of $(length(e)) events")
    nothing
end

"""A pack's events: their constants and results as rows of lanes, and per event and lane whether it holds and has happened."""
struct EventLanes{L,T}
    constants::Vector{T}
    nodes::Vector{T}
    holds::Matrix{Bool}
    happened::Matrix{Bool}
end
EventLanes{L,T}(e::EventProgram) where {L,T} =
    EventLanes{L,T}(zeros(T, L * size(e.constants, 1)), zeros(T, L * length(e.program)), falses(L, length(e)), falses(L, length(e)))

"""Constants of the given subjects, and nothing has happened yet."""
function fill_events!(lanes::EventLanes{L}, e::EventProgram, subjects) where {L}
    for l in 1:L, j in axes(e.constants, 1)
        lanes.constants[(j - 1) * L + l] = e.constants[j, column(e.constants, subjects[min(l, end)])]
    end
    fill!(lanes.holds, false)
    fill!(lanes.happened, false)
end
