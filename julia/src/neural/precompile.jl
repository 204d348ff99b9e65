# What a first neural ODE needs is compiled with the package; OrdinaryDiffEq's part does not depend on the field.
@setup_workload begin
    times = [0.0, 0.5, 1.0]
    @compile_workload begin
        for field in (MLPField(2; hidden = (3,), n_parameters = 1), GraphField(2, [1, 2], [2, 1]; hidden = (3,), n_messages = 2, n_parameters = 1))
            problem = NeuralProblem(field, initial_weights(field), ones(2, 2), times; parameters = ones(1, 2))
            for method in NEURAL_METHODS
                solution = solve(problem; method, rtol = 1e-4)
                neural_gradient(solution, ones(2, 2, 3))
            end
        end
        precompile(neural_forward, (Int64, String, String, Int64))
        precompile(neural_backward, (Int64, String, Int64))
        precompile(neural_release, (Int64,))
    end
end
