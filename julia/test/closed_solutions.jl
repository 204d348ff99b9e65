ka, ke = collect(0.5:0.1:2.3), collect(0.05:0.01:0.23)
system = absorption(ka, ke)
times = collect(0.0:0.5:24.0)
exact(i, t) = 100 * ka[i] / (ka[i] - ke[i]) * (exp(-ke[i] * t) - exp(-ka[i] * t))

@testset "oral dose: Bateman function, $method" for (method, bound) in
    ("rodas5p" => 1e-8, "rodas4" => 1e-7, "rodas4p" => 1e-7, "fbdf" => 1e-6, "kencarp47" => 1e-5, "tsit5" => 1e-7)
    solution = solve(PBPKProblem(system, bolus(system, "depot", 100.0), times; saved = ["body"]); method, rtol = 1e-8)
    @test all(==(SUCCESS), solution.status)
    # relative to the dose; BDF and the ESDIRK method accumulate more error per unit of tolerance
    worst = maximum(abs(solution.amount[1, j, i] - exact(i, t)) for i in eachindex(ka), (j, t) in enumerate(times))
    @test worst < bound * 100
end

@testset "infusion, reset and dose at one time" begin
    one = absorption([1.0], [0.1])
    # a rate that is never turned off: the reset ends it, then the dose of the same time counts
    forever = StopTable([0], [0.0], [PBPKHybrid.RATE], [2], fill(10.0, 1, 1))
    stops = bolus(one, "body", 7.0; time = 5.0) + forever + reset_at(one, 5.0)
    solution = solve(PBPKProblem(one, stops, [4.0, 5.0, 15.0]; saved = ["body"]); rtol = 1e-10)
    @test solution.amount[1, :, 1] ≈ [100 * (1 - exp(-0.4)), 7.0, 7 * exp(-1.0)] rtol = 1e-8
    @test solution.given[:, 1] ≈ [40.0, 7.0, 7.0]
end

@testset "mass balance, and given amounts" begin
    solution = solve(PBPKProblem(system, bolus(system, "depot", 100.0) + infusion(system, "body", 10.0, 4.0; time = 1.0), times))
    @test maximum(abs, solution.balance) < 1e-10
    @test solution.given[end, :] ≈ fill(110.0, length(ka))
end

@testset "each subject its own doses" begin
    stops = reduce(+, (bolus(system, "body", 10.0 + i; time = 0.25i, subject = i) for i in eachindex(ka)))
    solution = solve(PBPKProblem(system, stops, [20.0]; saved = ["body"]); rtol = 1e-9)
    @test solution.amount[1, 1, :] ≈ [(10 + i) * exp(-ke[i] * (20 - 0.25i)) for i in eachindex(ka)] rtol = 1e-7
end

@testset "concentrations and names" begin
    circ = circulation(5, 3)
    solution = solve(PBPKProblem(circ, bolus(circ, "iv", 10.0), [0.0, 1.0]))
    row = findfirst(==("plasma"), solution.problem.saved)
    @test concentration(solution, "plasma") ≈ 0.3 * solution.amount[row, :, :]
    @test_throws ArgumentError concentration(solution, "nowhere")
    @test_throws ArgumentError bolus(circ, "nowhere", 1.0)
    @test occursin("2 times, 3 subjects", sprint(show, solution))
end

@testset "saved times come from the method's own interpolant, $method" for method in ("rodas5p", "rodas4", "tsit5", "fbdf")
    problem = PBPKProblem(system, bolus(system, "depot", 100.0), times; saved = ["body"])
    pack = pack_problem(PBPKProblem(system, StopTable(), times; y0 = [100.0, 0.0, 0.0]), 1:8)
    place = system.plan.place[2]
    theirs = PBPKHybrid.with_method(method) do algorithm
        solve(pack, algorithm; abstol = 1e-9, reltol = 1e-6, internalnorm = PBPKHybrid.WorstLane{8}(), saveat = times)
    end
    ours = solve(problem; method, rtol = 1e-6, atol = 1e-9, threads = 1)
    # the same method at the same tolerance, but for the first step
    @test [theirs.u[j][(place - 1) * 8 + l] for j in eachindex(times), l in 1:8] ≈ ours.amount[1, :, 1:8] rtol = 1e-5
end
