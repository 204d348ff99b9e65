# Forward in time: one ODE for the batch, saved at the times asked for, with what the gradient will need.

"""Methods for neural fields: Tsitouras' explicit 5(4) pair, and Rodas5P for stiff fields."""
const NEURAL_METHODS = ("tsit5", "rodas5p")
"""Ways to a gradient; `"auto"` is `"discrete"` for tsit5 and `"continuous"` for rodas5p."""
const ADJOINTS = ("auto", "discrete", "continuous", "sciml")

"""
    NeuralProblem(field, weights, y0, times; parameters = zeros(0, batch))

A batch of subjects on one field: `weights` a flat vector ([`weight_layout`](@ref)), `y0` states x batch at `times[1]`, `parameters`
n_parameters x batch, `times` strictly increasing or strictly decreasing. Arrays of `Float64` are used, not copied.
"""
struct NeuralProblem{F<:NeuralField}
    field::F
    weights::Flat
    y0::Matrix{Float64}
    times::Vector{Float64}
    parameters::Matrix{Float64}

    function NeuralProblem(field::F, weights, y0::AbstractMatrix, times; parameters = zeros(0, size(y0, 2))) where {F<:NeuralField}
        expected(name, got, want) = got == want || throw(ArgumentError("$name: got size $got, expected $want"))
        expected("weights", length(weights), n_weights(field))
        expected("y0", size(y0, 1), n_states(field))
        expected("parameters", size(parameters), (field.n_parameters, size(y0, 2)))
        size(y0, 2) > 0 || throw(ArgumentError("y0: got no subjects"))
        length(times) > 1 || throw(ArgumentError("times: got $(length(times)), expected two or more"))
        all(isfinite, times) || throw(ArgumentError("times: got $(first(filter(!isfinite, times))), expected finite numbers"))
        steps = diff(times)
        all(>(0), steps) || all(<(0), steps) || throw(ArgumentError("times: expected strictly increasing or strictly decreasing ones"))
        new{F}(field, convert(Flat, weights), convert(Matrix{Float64}, y0), convert(Vector{Float64}, times), convert(Matrix{Float64}, parameters))
    end
end

"""
What [`solve`](@ref) of a [`NeuralProblem`](@ref) returns: `y` states x batch x times, `status`, `steps` accepted, `evaluations` of the field, `reached`
(the last time integrated to) and, after a failure, `blame`: the subject whose state was least finite.
"""
struct NeuralSolution{P<:NeuralProblem}
    problem::P
    method::String
    rtol::Float64
    max_steps::Int
    y::Array{Float64,3}
    status::Int8
    steps::Int
    evaluations::Int
    reached::Float64
    blame::Int
    record::Any   # StepRecord, OrdinaryDiffEq's dense solution, or nothing
end

"""Times and states at the ends of accepted steps: all the discrete adjoint needs."""
struct StepRecord
    times::Vector{Float64}
    states::Vector{Float64}
end

neural_algorithm(method) =
    method == "tsit5" ? Tsit5() :
    method == "rodas5p" ? Rodas5P(; linsolve = LinearSolveFunction(graph_solve)) :
    throw(ArgumentError("method: got $(repr(method)), expected one of $(join(NEURAL_METHODS, ", "))"))

"""
    solve(problem::NeuralProblem; method = "tsit5", rtol = 1e-7, atol = 1e-9, max_steps = 100_000, adjoint = "auto")

Integrate a batch. The error norm is the worst subject's. With `adjoint = nothing` nothing is kept for [`neural_gradient`](@ref).
"""
function SciMLBase.solve(problem::NeuralProblem; method = "tsit5", rtol = 1e-7, atol = 1e-9, max_steps = 100_000, adjoint = "auto")
    y = Array{Float64}(undef, size(problem.y0)..., length(problem.times))
    solve_into!(y, problem, method, rtol, atol, max_steps, chosen_adjoint(adjoint, method))
end

function chosen_adjoint(adjoint, method)
    adjoint === nothing && return "none"
    adjoint in ADJOINTS || throw(ArgumentError("adjoint: got $(repr(adjoint)), expected one of $(join(ADJOINTS, ", "))"))
    adjoint == "auto" && return method == "tsit5" ? "discrete" : "continuous"
    adjoint == "discrete" && method != "tsit5" && throw(ArgumentError("adjoint: got \"discrete\", which only tsit5 has; use \"continuous\""))
    adjoint
end

function solve_into!(y, problem::NeuralProblem, method, rtol, atol, max_steps, adjoint)
    algorithm = neural_algorithm(method)
    ode = FieldODE(Work(problem.field, problem.weights, problem.parameters, Flat(undef, n_weights(problem.field)), similar(problem.parameters), size(problem.y0, 2)))
    copyto!(view(y, :, :, 1), problem.y0)
    # a continuous adjoint reads the state between steps, where the error is larger than at their ends
    tighter = adjoint == "continuous" ? 0.1 : 1.0
    facts = integrate_batch!(y, ode, problem, algorithm, tighter * rtol, tighter * atol, max_steps, adjoint)
    NeuralSolution(problem, method, rtol, max_steps, y, facts.status, facts.steps, ode.evaluations, facts.reached, facts.blame, facts.record)
end

function batch_integrator(ode::BatchODE, y0::Vector{Float64}, span, algorithm, rtol, atol, max_steps; keywords...)
    problem = ODEProblem{true}(batch_function(ode, algorithm), y0, span, ode)
    init(
        problem, algorithm; abstol = atol, reltol = rtol, internalnorm = WorstSubject(ode.n), save_on = false, save_start = false, save_end = false,
        save_everystep = false, dense = false, calck = true, maxiters = max_steps, unstable_check = never_unstable, verbose = SILENT,
        alias = SciMLBase.ODEAliasSpecifier(; alias_f = true), keywords...,
    )
end

function integrate_batch!(y, ode::FieldODE, problem::NeuralProblem, algorithm, rtol, atol, max_steps, adjoint)
    times, start = problem.times, vec(copy(problem.y0))
    dense = adjoint in ("continuous", "sciml")
    kept = dense ? (; save_on = true, save_start = true, save_end = true, save_everystep = true, dense = true) : (;)
    record = adjoint == "discrete" ? StepRecord([times[1]], copy(start)) : nothing
    integrator = batch_integrator(ode, start, (times[1], times[end]), algorithm, rtol, atol, max_steps; kept...)
    at, row = zeros(length(start)), 2
    forward = times[end] > times[1]
    while row <= length(times)
        code = step!(integrator)
        if !(code == ReturnCode.Success || code == ReturnCode.Default)
            return (; status = failure(code), steps = integrator.stats.naccept, reached = integrator.t, blame = worst_subject(integrator, ode), record = nothing)
        end
        all(isfinite, integrator.u) ||
            return (; status = NOT_FINITE, steps = integrator.stats.naccept, reached = integrator.tprev, blame = worst_subject(integrator, ode), record = nothing)
        integrator.dt = integrator.t - integrator.tprev  # the interpolant's step, also where the end cut it short
        while row <= length(times) && (forward ? times[row] <= integrator.t : times[row] >= integrator.t)
            if times[row] == integrator.t
                copyto!(at, integrator.u)
            else
                integrator(at, times[row])
            end
            copyto!(view(y, :, :, row), at)
            row += 1
        end
        if record !== nothing
            push!(record.times, integrator.t)
            append!(record.states, integrator.u)
        end
    end
    (; status = SUCCESS, steps = integrator.stats.naccept, reached = integrator.t, blame = 0, record = dense ? integrator.sol : record)
end

"""The subject whose state is not finite, or the largest."""
function worst_subject(integrator, ode::BatchODE)
    size_of(b) = (part = view(integrator.u, (ode.n * (b - 1) + 1):(ode.n * b)); all(isfinite, part) ? maximum(abs, part) : Inf)
    argmax(size_of, 1:(ode.batch))
end
