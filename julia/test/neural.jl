# Gradients of every field and method against central differences of the solve itself, in directions that touch everything.
fields = (
    "MLP" => MLPField(3; hidden = (7, 5), n_parameters = 2, activation = "silu", time_dependent = true),
    "graph" => GraphField(3, [1, 2, 3, 1], [2, 3, 1, 3]; hidden = (6,), n_messages = 4, n_parameters = 2, activation = "tanh"),
    "scaling" => ScalingField(2; hidden = (5,)),
)
times = [0.0, 0.3, 1.0, 1.7]
wave(sizes...) = reshape([sin(1.3i) for i in 1:prod(sizes)], sizes)

@testset "$name: the batch is the plain definition" for (name, field) in fields
    weights, y0, parameters = 0.5 .* wave(n_weights(field)), wave(PBPKHybrid.n_states(field), 4), wave(field.n_parameters, 4)
    rates = field(y0, weights, parameters, 0.4)
    @test size(rates) == size(y0)
    @test rates[:, 2:2] ≈ field(y0[:, 2:2], weights, parameters[:, 2:2], 0.4)  # subjects do not touch each other
    h = 1e-5
    ends = solve(NeuralProblem(field, weights, y0, [0.4 - h, 0.4]; parameters); rtol = 1e-12, atol = 1e-14)
    @test (ends.y[:, :, 2] .- ends.y[:, :, 1]) ./ h ≈ field(y0, weights, parameters, 0.4) rtol = 1e-4
    @test sum(((_, _, rows, columns),) -> rows * max(1, columns), weight_layout(field)) == n_weights(field) == length(initial_weights(field))
end

@testset "$name, $method: gradients" for (name, field) in fields, method in ("tsit5", "rodas5p")
    n = PBPKHybrid.n_states(field)
    weights, y0, parameters, g = 0.5 .* wave(n_weights(field)), wave(n, 4), wave(field.n_parameters, 4), wave(n, 4, 4)
    run(w, y, p) = solve(NeuralProblem(field, w, y, times; parameters = p); method, rtol = 1e-11, atol = 1e-13)
    loss(w, y, p) = sum(g .* run(w, y, p).y)
    gradient = neural_gradient(run(weights, y0, parameters), g)
    h = 1e-5
    for (what, at, change) in (
        (:weights, weights, (d, s) -> loss(weights .+ s .* d, y0, parameters)), (:y0, y0, (d, s) -> loss(weights, y0 .+ s .* d, parameters)),
        (:parameters, parameters, (d, s) -> loss(weights, y0, parameters .+ s .* d)),
    )
        direction = reshape([cos(0.7i) for i in eachindex(at)], size(at))
        difference = (change(direction, h) - change(direction, -h)) / 2h
        # solves good to 1e-11 give differences good to 1e-6 of the parts that may cancel
        parts = direction .* gradient[what]
        @test sum(parts) ≈ difference rtol = 1e-6 atol = 1e-6 * sum(abs, parts)
    end
end

@testset "a gradient needs what its solve kept" begin
    field = last(fields[1])
    problem = NeuralProblem(field, initial_weights(field), wave(3, 4), times; parameters = wave(2, 4))
    @test_throws ArgumentError neural_gradient(solve(problem; adjoint = nothing), wave(3, 4, 4))
    @test_throws ArgumentError solve(problem; method = "rodas5p", adjoint = "discrete")
    @test_throws ArgumentError NeuralProblem(field, zeros(2), wave(3, 4), times; parameters = wave(2, 4))
end
