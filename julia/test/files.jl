text = """
{"format": "pbpk_hybrid system 1", "states": ["depot", "body"], "subjects": ["7", "9"], "k_row": [0, 1, 1], "k_col": [0, 0, 1],
 "k_value": [[-1.0, 1.0, -0.1], [-2.0, 2.0, -0.2]],
 "reactions": [{"name": "e", "law": "michaelis_menten", "reactants": [1], "stoichiometry": [[1, -1.0]], "parameters": [[3.0, 2.0]]}],
 "observables": {"plasma": {"states": [1], "weights": [1.0], "factor": [0.5, 0.25]}, "depot": {"states": [0], "weights": [1.0], "factor": [null]}},
 "targets": {"oral": 0}}
"""
mktempdir() do folder
    path = joinpath(folder, "system.json")
    write(path, text)
    system = load_system(path)
    @test system.subjects == ["7", "9"]
    @test rhs(system, [1.0, 2.0], 2) ≈ [-2.0, 2.0 - 0.4 - 3.0 * 2 / (2 + 2)]
    solution = solve(PBPKProblem(system, bolus(system, "oral", 1.0), [1.0]; saved = ["plasma"]))
    @test concentration(solution, "plasma")[1, 2] ≈ 0.25 * solution.amount[1, 1, 2]
    write(path, "{}")
    @test_throws ArgumentError load_system(path)
    @test_throws ArgumentError load_system(joinpath(folder, "missing.json"))
end
