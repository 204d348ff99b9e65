# What a solve allocates does not grow with its steps: the same problem at a tolerance that takes many more of them.
system = circulation(11, 8)
problem = PBPKProblem(system, bolus(system, "iv", 100.0), [0.0, 24.0])
spend(method, rtol) = (solve(problem; method, rtol, threads = 1); @allocated solve(problem; method, rtol, threads = 1))
@testset "$method" for method in METHODS
    few, many = (solve(problem; method, rtol, threads = 1) for rtol in (1e-4, 1e-9))
    @test many.steps[1, 1] > 2 * few.steps[1, 1] || method == "tsit5"  # whose steps are limited by stability
    # FBDF changes its order as it goes, for which OrdinaryDiffEq allocates: about 100 bytes a step, for eight people
    allowance = method == "fbdf" ? 300 * sum(many.steps[:, 1]) : 0
    @test spend(method, 1e-9) <= 1.02 * spend(method, 1e-4) + allowance
end

# The second pack costs nothing but its results: 2 x 8 x (states + 4) numbers.
@testset "packs share one integrator" begin
    one, two = (circulation(11, n) for n in (8, 16))
    bytes(s) = (p = PBPKProblem(s, bolus(s, "iv", 100.0), [0.0, 24.0]; saved = ["plasma"]); solve(p; threads = 1); @allocated solve(p; threads = 1))
    @test bytes(two) - bytes(one) < 8 * 8 * 60
end

@testset "a second solve of a model compiles nothing" begin
    Base.cumulative_compile_timing(true)
    solve(problem; threads = 1)
    before = Base.cumulative_compile_time_ns()[1]
    solve(problem; threads = 1)
    @test Base.cumulative_compile_time_ns()[1] == before
    Base.cumulative_compile_timing(false)
end
