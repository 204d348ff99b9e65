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
    targets = Dict{String,Int}(name => Int(state) + 1 for (name, state) in data["targets"])
    PBPKSystem(
        data["states"], Int.(data["k_row"]) .+ 1, Int.(data["k_col"]) .+ 1, matrix(data["k_value"]); reactions, observables, targets,
        n_subjects = length(data["subjects"]), subjects = data["subjects"],
    )
end
