# What a solve allocates does not grow with its steps: the same problem at a tolerance that takes many more of them.
system = circulation(11, 8)
problem = PBPKProblem(system, bolus(system, "iv", 100.0), [0.0, 24.0])
few, many = (solve(problem; rtol, threads = 1) for rtol in (1e-4, 1e-9))
@test many.steps[1, 1] > 2 * few.steps[1, 1]
@test (@allocated solve(problem; rtol = 1e-9, threads = 1)) <= 1.05 * (@allocated solve(problem; rtol = 1e-4, threads = 1))
