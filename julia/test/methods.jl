system = circulation(11, 13)
problem = PBPKProblem(system, bolus(system, "iv", 100.0) + bolus(system, "iv", 50.0; time = 6.0), collect(0.0:1.0:24.0))
reference = solve(problem; rtol = 1e-11).amount
@testset "$method" for (method, bound) in ("rodas5p" => 1e-5, "rodas4" => 1e-5, "rodas4p" => 1e-5, "fbdf" => 1e-3, "kencarp47" => 1e-4, "tsit5" => 1e-3)
    solution = solve(problem; method, rtol = method == "fbdf" ? 1e-6 : 1e-7)
    @test all(==(SUCCESS), solution.status)
    @test maximum(abs.(solution.amount .- reference) ./ (abs.(reference) .+ 1e-4)) < bound
    # Newton's iterations conserve mass only as far as they converge; the one-step methods to rounding
    @test maximum(abs, solution.balance) < (method == "fbdf" ? 1e-3 : 1e-8)
end
@test solve(problem; threads = 1).amount == solve(problem; threads = 2).amount
@test_throws ArgumentError solve(problem; method = "euler")
