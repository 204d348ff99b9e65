rates = fill(-0.1, 1, 11)
rates[1, 8] = 200.0
runaway = PBPKSystem(["body"], [1], [1], rates)
solution = solve(PBPKProblem(runaway, bolus(runaway, "body", 10.0), [0.0, 1.0, 10.0]))
@test failed(solution) == [8]
@test all(isnan, solution.amount[:, :, 8])
@test solution.amount[1, 3, setdiff(1:11, 8)] ≈ fill(10 * exp(-1.0), 10) rtol = 1e-5

system = circulation(6, 2)
hasty = solve(PBPKProblem(system, bolus(system, "iv", 1.0), [0.0, 24.0]); max_steps = 3)
@test all(==(MAX_STEPS), hasty.status) && all(isnan, hasty.amount)

@test_throws ArgumentError PBPKSystem(["a"], [1, 1], [1, 1], [1.0, 2.0])
@test_throws ArgumentError PBPKSystem(["a"], [2], [1], [1.0])
@test_throws ArgumentError PBPKSystem(["a"], [1], [1], [NaN])
@test_throws ArgumentError PBPKSystem(["a", "a"], [1], [1], [1.0])
@test_throws ArgumentError PBPKSystem(["a"], [1], [1], [1.0]; reactions = [Reaction("r", "hill", [1], [1 => -1.0], [1.0])])
@test_throws ArgumentError PBPKProblem(system, StopTable(), [1.0, 1.0])
@test_throws ArgumentError PBPKProblem(system, bolus(system, "iv", 1.0; time = -1.0), [1.0])
@test_throws ArgumentError infusion(system, "iv", 1.0, 0.0)
