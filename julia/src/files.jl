"""
    load_system(path) -> PBPKSystem

A model with all its subjects from the JSON file that Python's `pbpk_hybrid.solvers.julia.export.save_system` writes. State
numbers in the file count from 0.
"""
function load_system(path::AbstractString)
    isfile(path) || throw(ArgumentError("path: there is no file $path"))
    data = JSON.parse(read(path, String))
    found = get(data, "format", nothing)
    found == "pbpk_hybrid system 1" ||
        throw(ArgumentError("path: $path is not a system written by pbpk_hybrid (format $(repr(found)))"))
    matrix(rows) = isempty(rows) ? zeros(0, 1) : Float64.(reduce(hcat, (collect(Float64, r) for r in rows)))
    numbers(values) = Float64[v === nothing ? NaN : v for v in values]
    reactions = [
        Reaction(
            r["name"], r["law"], Int.(r["reactants"]) .+ 1, [Int(s) + 1 => Float64(v) for (s, v) in r["stoichiometry"]], matrix(r["parameters"]),
        ) for r in data["reactions"]
    ]
    observables = Dict{String,Observable}(
        name => Observable(Int.(o["states"]) .+ 1, numbers(o["factor"]); weights = numbers(o["weights"])) for (name, o) in data["observables"]
    )
    expressions = read_expressions(get(data, "expressions", nothing))
    targets = Dict{String,Int}(name => Int(state) + 1 for (name, state) in data["targets"])
    PBPKSystem(
        data["states"], Int.(data["k_row"]) .+ 1, Int.(data["k_col"]) .+ 1, matrix(data["k_value"]); reactions, observables, targets,
        expressions, n_subjects = length(data["subjects"]), subjects = data["subjects"],
    )
end

"""The operations of a file's expressions; files of before there were any have none."""
function read_expressions(data)
    data === nothing && return ExpressionProgram()
    ints(name) = collect(Int, data[name])
    floats(name) = collect(Float64, data[name])
    tables = split_tables(ints("table_per"), floats("table_x"), floats("table_y"), ints("table_slope"))
    ExpressionProgram(
        ints("op") .+ 1, ints("args_per"), ints("arg") .+ 1, floats("value"), ints("index"), tables, ints("rate") .+ 1, ints("slope") .+ 1,
    )
end

function split_tables(per, x, y, slope)
    ends = cumsum(per)
    points = [(ends[i] - per[i] + 1):ends[i] for i in eachindex(per)]
    [ExpressionTable(x[q], y[q], s != 0) for (q, s) in zip(points, slope)]
end
