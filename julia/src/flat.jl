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
)

const FLAT_TYPES = (I = Int64, F = Float64, B = Int8)

"""Array number `i` of the table (rows of address, dimensions 1 to 3), as an `Array` of `N` dimensions on the same memory."""
function wrap(table::Matrix{Int64}, i::Int, ::Type{T}, ::Val{N}) where {T,N}
    dims = ntuple(d -> Int(table[1 + d, i]), Val(N))
    prod(dims) == 0 && return Array{T,N}(undef, dims)
    unsafe_wrap(Array, Ptr{T}(table[1, i]), dims)
end

"""
    solve_flat(address, method, threads, first, last)

Integrate subjects `first` to `last` (from 1; `first` the first of its pack) of the system whose arrays the table at `address`
names. `threads` 1: on this thread, without tasks; 0: that, and without garbage collection. See
`python/pbpk_hybrid/solvers/julia/convert.py`, which builds the table.
"""
function solve_flat(address::Int64, method::String, threads::Int64, first::Int64, last::Int64)
    table = unsafe_wrap(Array, Ptr{Int64}(address), (4, length(FLAT)))
    at = Dict(name => i for (i, name) in enumerate(keys(FLAT)))
    ints(name) = wrap(table, at[name], Int64, Val(1))
    floats(name) = wrap(table, at[name], Float64, Val(1))
    matrix(name) = wrap(table, at[name], Float64, Val(2))
    n, subjects, max_steps = ints(:counts)
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
    threads > 0 || return without_collection(() -> integrate!(out, system, stops, floats(:times), start_time, matrix(:y0), floats(:atol), sums, method, control, first:last, 1))
    integrate!(out, system, stops, floats(:times), start_time, matrix(:y0), floats(:atol), sums, method, control, first:last, threads)
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
    nothing
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
    )
end

function flat_expressions(ints, floats, n, reactions)
    isempty(ints(:expression_op)) && return ExpressionProgram()
    tables = split_tables(ints(:table_per), floats(:table_x), floats(:table_y), ints(:table_slope))
    program = ExpressionProgram(
        ints(:expression_op) .+ 1, ints(:expression_args_per), ints(:expression_arg) .+ 1, floats(:expression_value), ints(:expression_index), tables,
        ints(:expression_rate) .+ 1, ints(:expression_slope) .+ 1,
    )
    check_expressions(program, n, reactions)
    program
end

function flat_sums(s::PBPKSystem, per, state, weight)
    SavedSums(cumsum([1; per]), s.plan.place[state .+ 1], weight)
end

"""Versions of Julia, this package and the solvers it stands on."""
function versions()
    names = (PBPKHybrid, SciMLBase, OrdinaryDiffEqRosenbrock)
    Dict{String,String}("Julia" => string(VERSION), (string(nameof(m)) => string(pkgversion(m)) for m in names)...)
end
