# The entry for Python: every array is NumPy memory, named by its address and shape, so that nothing is copied and all code
# behind this call is compiled with the package. The caller keeps the memory alive. Numbers of states count from 0, subject
# -1 means everyone.

"""Arrays of a flat call, in order; `I` Int64, `F` Float64, `B` Int8."""
const FLAT = (
    k_row = :I, k_col = :I, k_value = :F, law = :I, reactants_per = :I, reactant = :I, states_per = :I, gain_state = :I, gain = :F,
    parameters_per = :I, parameter = :F, terms_per = :I, term_state = :I, term_weight = :F, stop_subject = :I, stop_time = :F,
    stop_kind = :I, stop_state = :I, stop_value = :F, times = :F, y0 = :F, atol = :F, numbers = :F, counts = :I, amount = :F, balance = :F,
    given = :F, final = :F, status = :B, steps = :I, expression_op = :I, expression_args_per = :I, expression_arg = :I, expression_value = :F,
    expression_index = :I, expression_rate = :I, expression_slope = :I, table_per = :I, table_x = :F, table_y = :F, table_slope = :I,
    event_op = :I, event_args_per = :I, event_arg = :I, event_value = :F, event_index = :I, event_rate = :I, event_slope = :I,
    event_table_per = :I, event_table_x = :F, event_table_y = :F, event_table_slope = :I, event_targets_per = :I, event_target = :I,
    event_once = :I, event_constants = :F, event_still = :I, event_numbers = :I,
)

const FLAT_TYPES = (I = Int64, F = Float64, B = Int8)

"""Array number `i` of the table (rows of address, dimensions 1 to 3), as an `Array` of `N` dimensions on the same memory."""
function wrap(table::Matrix{Int64}, i::Int, ::Type{T}, ::Val{N}) where {T,N}
    dims = ntuple(d -> Int(table[1 + d, i]), Val(N))
    prod(dims) == 0 && return Array{T,N}(undef, dims)
    unsafe_wrap(Array, Ptr{T}(table[1, i]), dims)
end

"""
    solve_flat(address, method, threads, first, milliseconds)

Integrate subjects from `first` on (from 1; the first of its pack) of the system whose arrays the table at `address` names, for about so
long; the number of the last one that is done goes to the end of `counts`. `threads` 1: on this thread, without tasks; 0: that, and without garbage collection. See
`python/pbpk_hybrid/solvers/julia/convert.py`, which builds the table.
"""
function solve_flat(address::Int64, method::String, threads::Int64, first::Int64, milliseconds::Int64)
    deadline = time_ns() + UInt64(10)^6 * milliseconds
    table = unsafe_wrap(Array, Ptr{Int64}(address), (4, length(FLAT)))
    at = Dict(name => i for (i, name) in enumerate(keys(FLAT)))
    ints(name) = wrap(table, at[name], Int64, Val(1))
    floats(name) = wrap(table, at[name], Float64, Val(1))
    matrix(name) = wrap(table, at[name], Float64, Val(2))
    counts = ints(:counts)
    n, subjects, max_steps = counts
    start_time, rtol, max_step = floats(:numbers)
    system = flat_system(n, subjects, ints, floats, matrix)
    sums = flat_sums(system, ints(:terms_per), ints(:term_state), floats(:term_weight))
    value = matrix(:stop_value)
    stops = StopTable(ints(:stop_subject) .+ 1, floats(:stop_time), ints(:stop_kind), ints(:stop_state) .+ 1, value)
    out = Output(
        wrap(table, at[:amount], Float64, Val(3)), matrix(:balance), matrix(:given), matrix(:final), wrap(table, at[:status], Int8, Val(1)),
        wrap(table, at[:steps], Int64, Val(2)),
    )
    check_times(floats(:times), start_time)
    check_stops(stops, n, subjects, start_time)
    control = Control(rtol, max_steps, max_step)
    run() = integrate!(
        out, system, stops, floats(:times), start_time, matrix(:y0), floats(:atol), sums, method, control, first:subjects, max(threads, 1), deadline,
    )
    counts[4] = threads > 0 ? run() : without_collection(run)
    nothing
end

"""
Run `f` without garbage collection. Collecting waits for every thread that has run Julia; where the thread that started Julia was not
ours to prepare (`_step_aside` in `runtime.py`), it may sit in Python and never answer. What a solve allocates does not grow with its steps.
"""
function without_collection(f)
    before = GC.enable(false)
    try
        f()
    finally
        GC.enable(before)
    end
end

function flat_system(n, subjects, ints, floats, matrix)
    law, reactant, gain_state, gain, parameter = ints(:law), ints(:reactant), ints(:gain_state), floats(:gain), matrix(:parameter)
    slices(counts) = (ends = cumsum(counts); [(ends[i] - counts[i] + 1):ends[i] for i in eachindex(counts)])
    of, to, par = slices(ints(:reactants_per)), slices(ints(:states_per)), slices(ints(:parameters_per))
    reactions = [
        Reaction(
            "reaction $m", LAW_NAMES[law[m]], reactant[of[m]] .+ 1, [gain_state[q] + 1 => gain[q] for q in to[m]], parameter[par[m], :],
        ) for m in eachindex(law)
    ]
    rows, cols = ints(:k_row) .+ 1, ints(:k_col) .+ 1
    names = ["state $i" for i in 0:(n - 1)]
    PBPKSystem(
        names, rows, cols, matrix(:k_value), reactions, Dict{String,Observable}(), Dict{String,Int}(), fill("", subjects),
        plan_of(n, rows, cols, reactions), flat_expressions(ints, floats, n, reactions),
        flat_events(ints, floats, matrix, n, subjects),
    )
end

function flat_expressions(ints, floats, n, reactions)
    program = flat_program(ints, floats, :expression, :table)
    isempty(program) || check_expressions(program, n, reactions)
    program
end

"""A list of operations from the arrays whose names begin with `of`."""
function flat_program(ints, floats, of, tables_of)
    part(name) = Symbol(of, :_, name)
    points(name) = Symbol(tables_of, :_, name)
    isempty(ints(part(:op))) && return ExpressionProgram()
    tables = split_tables(ints(points(:per)), floats(points(:x)), floats(points(:y)), ints(points(:slope)))
    ExpressionProgram(
        ints(part(:op)) .+ 1, ints(part(:args_per)), ints(part(:arg)) .+ 1, floats(part(:value)), ints(part(:index)), tables,
        ints(part(:rate)) .+ 1, ints(part(:slope)) .+ 1,
    )
end

function flat_events(ints, floats, matrix, n, subjects)
    isempty(ints(:event_once)) && return EventProgram()
    time, before, switches = ints(:event_numbers)
    events = EventProgram(
        flat_program(ints, floats, :event, :event_table), cumsum([1; ints(:event_targets_per)]), ints(:event_target) .+ 1, ints(:event_once) .!= 0,
        matrix(:event_constants), ints(:event_still) .+ 1, time + 1, before != 0, switches,
    )
    check_events(events, n, subjects)
    events
end

function flat_sums(s::PBPKSystem, per, state, weight)
    SavedSums(cumsum([1; per]), s.plan.place[state .+ 1], weight)
end

"""Versions of Julia, this package and the solvers it stands on."""
function versions()
    names = (PBPKHybrid, SciMLBase, OrdinaryDiffEqRosenbrock)
    Dict{String,String}("Julia" => string(VERSION), (string(nameof(m)) => string(pkgversion(m)) for m in names)...)
end
