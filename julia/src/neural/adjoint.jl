# Gradients, backward in time. L is a function of the saved states; g_i = dL/dy(t_i) comes in, dL/d(weights, y0, parameters) goes out.

"""
    neural_gradient(solution, dy; adjoint = "auto")

Pull `dy = dL/dy` (states x batch x times) of a loss `L` back through a [`solve`](@ref): a named tuple of `weights`, `y0` and `parameters`.
The solve must have kept what this adjoint needs (its own `adjoint` keyword).

`"discrete"` (tsit5): reverse-mode differentiation of the Runge-Kutta steps and of their interpolants, steps held fixed. With
stages `k_i = f(Y_i)`, `Y_i = y_n + h sum_j a_ij k_j`, from the last step to the first

    k̄_i = h a_7i λ_{n+1} + h sum_{j>i} a_ji Ȳ_j + h sum_s b_i(θ_s) g_s,    Ȳ_i = (df/dy)' k̄_i,    λ_n = λ_{n+1} + sum_i Ȳ_i + sum_s g_s

over saved times `t_s = t_n + θ_s h`. It is the exact gradient of the numbers that `solve` returned; only states at the ends of steps are kept.

`"continuous"`: the adjoint ODE (Chen et al. 2018, arXiv:1806.07366)

    dλ/dt = -(df/dy)' λ,    λ jumps by g_i at t_i,    dL/dweights = ∫ (df/dweights)' λ dt,    dL/dy0 = λ(t_1)

solved backward by the same method with the forward solution's dense output, the integral by Gauss' rule of four points in every step. Its error
follows `rtol`.

`"sciml"`: SciMLSensitivity's `GaussAdjoint`, with that package loaded. Untested.
"""
function neural_gradient(solution::NeuralSolution, dy::AbstractArray{Float64,3}; adjoint = "auto")
    p = solution.problem
    weights, y0, parameters = zeros(n_weights(p.field)), zeros(size(p.y0)), zeros(size(p.parameters))
    size(dy) == size(solution.y) || throw(ArgumentError("dy: got size $(size(dy)), expected $(size(solution.y))"))
    status = gradient_into!(weights, y0, parameters, solution, dy, chosen_adjoint(adjoint, solution.method))
    status == SUCCESS || error("the adjoint could not be integrated (status $status)")
    (; weights, y0, parameters)
end

function gradient_into!(weights, y0, parameters, solution::NeuralSolution, dy, adjoint)
    p = solution.problem
    kept = solution.record isa StepRecord ? "discrete" : solution.record === nothing ? "none" : "continuous"
    (adjoint == "sciml" ? "continuous" : adjoint) == kept ||
        throw(ArgumentError("adjoint: the solve kept what $(repr(kept)) needs, not $(repr(adjoint))"))
    adjoint == "sciml" && return sciml_gradient!(weights, y0, parameters, solution, dy)
    work = Work(p.field, p.weights, p.parameters, weights, parameters, size(p.y0, 2))
    adjoint == "discrete" && return discrete_adjoint!(y0, work, solution.record, p.times, dy)
    continuous_adjoint!(y0, work, solution, dy)
end

"""Filled in by the extension for SciMLSensitivity."""
sciml_gradient!(arguments...) = throw(ArgumentError("adjoint: got \"sciml\", which needs the Julia package SciMLSensitivity loaded; use \"auto\""))

# Tsitouras (2011) Comput Math Appl 62:770: nodes, coefficients, and the polynomials of the interpolant, digits as in OrdinaryDiffEqTsit5
const TSIT5_C = (0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0)
const TSIT5_A = (
    (), (0.161,), (-0.008480655492356989, 0.335480655492357), (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
    (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
    (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
)
const TSIT5_B = (
    (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216), (0.0, 0.13169999999999998, -0.2234, 0.1017),
    (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253), (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
    (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928), (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
    (0.0, 1.5, -4.0, 2.5),
)

axpy!(y, a, x) = (@inbounds @simd ivdep for i in eachindex(y, x)
    y[i] = muladd(a, x[i], y[i])
end; nothing)

function discrete_adjoint!(y0bar, work::Work, record::StepRecord, times, dy)
    m = length(y0bar)
    tapes = [Tape(work) for _ in 1:7]
    k, kbar = [zeros(m) for _ in 1:6], [zeros(m) for _ in 1:7]
    stage, lambda, pulled = zeros(m), zeros(m), zeros(m)
    saved(row) = view(dy, (m * (row - 1) + 1):(m * row))
    row, forward = length(times), times[end] > times[1]
    after(a, b) = forward ? a > b : a < b
    last_step = length(record.times) - 1
    for step in last_step:-1:1
        t, h = record.times[step], record.times[step + 1] - record.times[step]
        y = view(record.states, (m * (step - 1) + 1):(m * step))
        # the stages again, with tapes; tapes[7] is the first stage of the step after this one
        for i in 1:6
            copyto!(stage, y)
            for j in 1:(i - 1)
                axpy!(stage, h * TSIT5_A[i][j], k[j])
            end
            evaluate!(k[i], work, tapes[i], stage, t + TSIT5_C[i] * h)
        end
        if step == last_step
            copyto!(stage, view(record.states, (m * step + 1):(m * (step + 1))))
            evaluate!(pulled, work, tapes[7], stage, t + h)
        end
        # kbar[7] holds what the step after this one wants of its first stage; saved times within the step add to it
        while row > 1 && times[row] == record.times[step + 1]
            lambda .+= saved(row)
            row -= 1
        end
        first_row = row
        while row > 1 && after(times[row], t)
            theta = (times[row] - t) / h
            axpy!(kbar[7], h * weight(7, theta), saved(row))
            row -= 1
        end
        pullback!(pulled, work, tapes[7], kbar[7], 1.0)
        lambda .+= pulled
        for i in 1:6
            kbar[i] .= h .* TSIT5_A[7][i] .* lambda
        end
        for s in first_row:-1:(row + 1)
            theta = (times[s] - t) / h
            for i in 1:6
                axpy!(kbar[i], h * weight(i, theta), saved(s))
            end
            lambda .+= saved(s)
        end
        for i in 6:-1:2
            pullback!(pulled, work, tapes[i], kbar[i], 1.0)
            lambda .+= pulled
            for j in 1:(i - 1)
                axpy!(kbar[j], h * TSIT5_A[i][j], pulled)
            end
        end
        copyto!(kbar[7], kbar[1])
        tapes[7], tapes[1] = tapes[1], tapes[7]
    end
    pullback!(pulled, work, tapes[7], kbar[7], 1.0)
    y0bar[:] .= lambda .+ pulled .+ saved(1)
    SUCCESS
end

"""The interpolant's weight of stage `i`."""
weight(i, theta) = theta * evalpoly(theta, TSIT5_B[i])

"""`dλ/dt = -(df/dy)' λ` along a forward solution."""
mutable struct AdjointODE <: BatchODE
    const work::Work
    const tape::Tape
    const n::Int
    const batch::Int
    const scratch::Vector{Vector{Float64}}
    const solution::Any   # OrdinaryDiffEq's dense solution
    evaluations::Int
end
function AdjointODE(work::Work, solution)
    n = n_states(work.field)
    AdjointODE(work, Tape(work), n, work.batch, [zeros(n * work.batch) for _ in 1:3], solution, 0)
end

depends_on_time(::AdjointODE) = true

"""Evaluate the field on the forward solution at `t`, leaving the tape."""
function evaluate_along!(ode::AdjointODE, t)
    y, slope = ode.scratch[1], ode.scratch[2]
    ode.solution(y, t)
    evaluate!(slope, ode.work, ode.tape, y, t)
end

function batch_rhs!(dlambda, lambda, ode::AdjointODE, t)
    ode.evaluations += 1
    evaluate_along!(ode, t)
    pullback!(dlambda, ode.work, ode.tape, lambda, 0.0)
    dlambda .*= -1
    nothing
end

function fill_blocks!(jac::Array{Float64,3}, ode::AdjointODE, lambda, t)
    unit, row = ode.scratch[2], ode.scratch[3]
    evaluate_along!(ode, t)
    each_row!(ode.work, ode.tape, unit, row) do i
        for b in 1:(ode.batch), j in 1:(ode.n)
            jac[j, i, b] = -row[j + ode.n * (b - 1)]
        end
    end
end

# Gauss-Legendre on [0, 1], four points: exact to degree seven
const GAUSS = (
    (0.06943184420297371, 0.17392742256872693), (0.33000947820757187, 0.32607257743127307), (0.6699905217924281, 0.32607257743127307),
    (0.9305681557970262, 0.17392742256872693),
)

function continuous_adjoint!(y0bar, work::Work, solution::NeuralSolution, dy)
    times, m = solution.problem.times, length(y0bar)
    saved(row) = view(dy, (m * (row - 1) + 1):(m * row))
    scale = maximum(abs, dy)
    scale == 0 && (fill!(y0bar, 0); return SUCCESS)
    isfinite(scale) || return NOT_FINITE
    ode = AdjointODE(work, solution.record)
    lambda, between, unused = collect(saved(length(times))), zeros(m), zeros(m)
    algorithm = neural_algorithm(solution.method)
    rtol = 0.1 * solution.rtol
    step = 0.0
    for row in length(times):-1:2
        if any(!iszero, lambda)
            span = (times[row], times[row - 1])
            guess = step == 0 ? (;) : (; dt = copysign(min(abs(step), abs(span[2] - span[1])), span[2] - span[1]))
            # tolerances follow the loss, whose gradient is linear in dy
            integrator = batch_integrator(ode, lambda, span, algorithm, rtol, 1e-2 * rtol * scale, solution.max_steps; guess...)
            while integrator.t != span[2]
                code = step!(integrator)
                (code == ReturnCode.Success || code == ReturnCode.Default) || return failure(code)
                from, h = integrator.tprev, integrator.t - integrator.tprev
                integrator.dt = h
                step = max(abs(h), min(step, abs(span[2] - span[1])))
                for (node, part) in GAUSS
                    integrator(between, from + node * h)
                    evaluate_along!(ode, from + node * h)
                    pullback!(unused, work, ode.tape, between, -h * part)
                end
            end
            copyto!(lambda, integrator.u)
        end
        lambda .+= saved(row - 1)
    end
    copyto!(y0bar, lambda)
    all(isfinite, lambda) ? SUCCESS : NOT_FINITE
end
