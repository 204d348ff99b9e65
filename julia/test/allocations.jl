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

# Packs after the first allocate nothing at all; what a solve allocates for each subject are its results and tolerances.
@testset "packs share one integrator" begin
    people = circulation(11, 16)
    structure, control = PBPKHybrid.structure_of(people), PBPKHybrid.Control(1e-6, 100_000, Inf)
    sums = PBPKHybrid.SavedSums(people, ["plasma"])
    out = PBPKHybrid.Output(zeros(1, 2, 16), zeros(2, 16), zeros(2, 16), zeros(15, 16), zeros(Int8, 16), zeros(Int64, 2, 16))
    dose = bolus(people, "iv", 100.0)
    job = PBPKHybrid.Job(people, dose, [1], Int[], [0.0, 24.0], 0.0, zeros(15, 1), fill(1e-9, 16), sums, control, out)
    worker = PBPKHybrid.with_method(algorithm -> PBPKHybrid.Worker{8,Float64}(people, structure, algorithm, control, 1), "rodas5p")
    first!(worker, job) = (PBPKHybrid.integrate_pack!(worker, job, view(job.stop_order, :), 1:8); nothing)
    second!(worker, job) = (PBPKHybrid.integrate_pack!(worker, job, view(job.stop_order, :), 9:16); nothing)
    first!(worker, job)
    second!(worker, job)
    @test (@allocated second!(worker, job)) == 0
    @test all(==(SUCCESS), out.status) && all(>(0), out.amount[1, 2, :])
end

@testset "a second solve of a model compiles nothing" begin
    Base.cumulative_compile_timing(true)
    solve(problem; threads = 1)
    before = Base.cumulative_compile_time_ns()[1]
    solve(problem; threads = 1)
    @test Base.cumulative_compile_time_ns()[1] == before
    Base.cumulative_compile_timing(false)
end
