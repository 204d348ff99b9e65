"""
    PBPKHybrid

Physiologically based pharmacokinetics of virtual populations on OrdinaryDiffEq's stiff methods.

A [`PBPKSystem`](@ref) holds `dy/dt = K y + S v(y) + u(t)` for any number of subjects: `K` sparse with one pattern for all,
`v` saturable and bilinear reactions, `u` the doses. [`solve`](@ref) advances subjects in *packs*: a few subjects ("lanes")
share one `ODEProblem` and one step size, arithmetic is SIMD over lanes, and linear systems are solved along the graph.

```julia
using PBPKHybrid
system = load_system("model.json")
problem = PBPKProblem(system, bolus(system, "oral", 100.0), 0:0.25:24)
solution = solve(problem; method = "rodas5p", rtol = 1e-6)
concentration(solution, "liver")          # times x subjects [mg/L]
```
"""
module PBPKHybrid

using JSON: JSON
using LinearAlgebra: LinearAlgebra, BLAS, LAPACK
using LinearSolve: LinearSolveFunction
using OrdinaryDiffEqBDF: FBDF
using OrdinaryDiffEqNonlinearSolve: NLNewton
using OrdinaryDiffEqRosenbrock: OrdinaryDiffEqRosenbrock, OrdinaryDiffEqCore, Rodas4, Rodas4P, Rodas5P, RosenbrockCache
using OrdinaryDiffEqSDIRK: KenCarp47
using OrdinaryDiffEqTsit5: Tsit5
using PrecompileTools: @compile_workload, @setup_workload
using SciMLBase: SciMLBase, FullSpecialize, ODEFunction, ODEProblem, ReturnCode, get_proposed_dt, init, reinit!, set_proposed_dt!, solve, step!
using SciMLLogging: SciMLLogging
using SciMLOperators: SciMLOperators, AbstractSciMLOperator, update_coefficients!

export PBPKSystem, Reaction, Observable, StopTable, PBPKProblem, PBPKSolution
export bolus, infusion, reset_at, solve, concentration, failed, load_system, pack_problem, rhs
export ExpressionProgram
export MLPField, GraphField, ScalingField, NeuralField, NeuralProblem, NeuralSolution, neural_gradient, n_weights, weight_layout, initial_weights
export SUCCESS, MAX_STEPS, STEP_TOO_SMALL, NOT_FINITE, METHODS

include("lanes.jl")
include("hill.jl")
include("laws.jl")
include("expressions.jl")
include("events.jl")
include("elimination.jl")
include("system.jl")
include("doses.jl")
include("compiled.jl")
include("pack.jl")
include("operator.jl")
include("problem.jl")
include("rosenbrock.jl")
include("methods.jl")
include("integrate.jl")
include("event_steps.jl")
include("population.jl")
include("files.jl")
include("flat.jl")
include("neural/neural.jl")
include("gpu.jl")
include("precompile.jl")
include("neural/precompile.jl")

end
