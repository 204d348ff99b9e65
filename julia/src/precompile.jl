# What a first solve needs is compiled with the package; nothing here depends on the model.
@setup_workload begin
    k = [-1.0, 1.0, -0.1]
    @compile_workload begin
        reaction = Reaction("liver", "michaelis_menten", [2], [2 => -1.0], [1.0, 1.0])
        system = PBPKSystem(["depot", "body"], [1, 2, 2], [1, 1, 2], k; reactions = [reaction], n_subjects = 2)
        problem = PBPKProblem(system, bolus(system, "depot", 1.0) + infusion(system, "body", 1.0, 0.5), [0.0, 0.5, 1.0])
        for method in ("rodas5p", "rodas4p")
            solve(problem; method, threads = 1)
        end
        foreach(write -> write(structure_of(system)), (rhs_code, refresh_code, substitute_code, solve_code, st -> stage_code(st, 2)))
        precompile(solve_flat, (Int64, String, Int64, Int64, Int64))
    end
end
