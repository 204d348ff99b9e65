# The Jacobian of a batch is block diagonal: one dense block per subject. W = J - I/gamma for OrdinaryDiffEq's Rosenbrock methods
# is factorised block by block.

"""What OrdinaryDiffEq integrates: the field of a batch, forward in its time or, in [`AdjointODE`](@ref), backward."""
abstract type BatchODE end

"""`dy/dt = f(y, p, t)` of a batch; the state is the states x batch matrix as a vector."""
mutable struct FieldODE <: BatchODE
    const work::Work
    const tape::Tape
    const n::Int
    const batch::Int
    const scratch::Vector{Vector{Float64}}
    evaluations::Int
end
function FieldODE(work::Work)
    n = n_states(work.field)
    FieldODE(work, Tape(work), n, work.batch, [zeros(n * work.batch) for _ in 1:2], 0)
end

function batch_rhs!(dy, y, ode::FieldODE, t)
    ode.evaluations += 1
    evaluate!(dy, ode.work, ode.tape, y, t)
    nothing
end

"""Blocks of `J`: a pullback with the same unit vector in every subject gives one row of every block."""
function fill_blocks!(jac::Array{Float64,3}, ode::FieldODE, y, t)
    unit, row = ode.scratch
    batch_rhs!(row, y, ode, t)
    each_row!(ode.work, ode.tape, unit, row) do i
        for b in 1:(ode.batch), j in 1:(ode.n)
            jac[i, j, b] = row[j + ode.n * (b - 1)]
        end
    end
end

function each_row!(use::F, work::Work, tape::Tape, unit, row) where {F}
    n = n_states(work.field)
    for i in 1:n
        fill!(unit, 0)
        unit[i:n:end] .= 1
        pullback!(row, work, tape, unit, 0.0)
        use(i)
    end
end

struct BlockJacobian <: AbstractSciMLOperator{Float64}
    ode::BatchODE
    blocks::Array{Float64,3}
end
BlockJacobian(ode::BatchODE) = BlockJacobian(ode, zeros(ode.n, ode.n, ode.batch))

"""`W = J - I/gamma` of a batch as LU factors of its blocks."""
mutable struct BlockW <: AbstractSciMLOperator{Float64}
    const jacobian::BlockJacobian
    const lu::Vector{Matrix{Float64}}
    const pivots::Vector{Vector{LinearAlgebra.BlasInt}}
    gamma::Float64
end
BlockW(j::BlockJacobian) = BlockW(j, [zeros(j.ode.n, j.ode.n) for _ in 1:(j.ode.batch)], [LinearAlgebra.BlasInt[] for _ in 1:(j.ode.batch)], 1.0)

const BlockOperator = Union{BlockJacobian,BlockW}
jacobian(J::BlockJacobian) = J
jacobian(W::BlockW) = W.jacobian

Base.size(A::BlockOperator) = (ode = jacobian(A).ode; m = ode.n * ode.batch; (m, m))
Base.size(A::BlockOperator, d::Integer) = d <= 2 ? size(A)[d] : 1
SciMLOperators.islinear(::BlockOperator) = true
SciMLOperators.isconstant(::BlockOperator) = false
SciMLOperators.issquare(::BlockOperator) = true
SciMLOperators.has_adjoint(::BlockOperator) = false
SciMLOperators.has_mul(::BlockOperator) = true
SciMLOperators.has_mul!(::BlockOperator) = true
SciMLOperators.has_ldiv(::BlockW) = true
SciMLOperators.has_ldiv!(::BlockW) = true
SciMLOperators.isconvertible(::BlockOperator) = false
SciMLOperators.iscached(::BlockOperator) = true

function SciMLOperators.update_coefficients!(J::BlockJacobian, u, p, t; kwargs...)
    fill_blocks!(J.blocks, J.ode, u, t)
    J
end

function SciMLOperators.update_coefficients!(W::BlockW, u, p, t; gamma = nothing, kwargs...)
    update_coefficients!(W.jacobian, u, p, t)
    gamma === nothing || (W.gamma = gamma)
    for b in eachindex(W.lu)
        block = copyto!(W.lu[b], view(W.jacobian.blocks, :, :, b))
        for i in axes(block, 1)
            block[i, i] -= inv(W.gamma)
        end
        # a value that is not finite ends in a state that is not finite, which the integrator refuses
        all(isfinite, block) || (fill!(block, NaN); W.pivots[b] = collect(LinearAlgebra.BlasInt, axes(block, 1)); continue)
        W.pivots[b] = LAPACK.getrf!(block; check = false)[2]
    end
    W
end

function LinearAlgebra.ldiv!(x::Vector{Float64}, W::BlockW, b::Vector{Float64})
    x === b || copyto!(x, b)
    n = W.jacobian.ode.n
    for s in eachindex(W.lu)
        LAPACK.getrs!('N', W.lu[s], W.pivots[s], view(x, (n * (s - 1) + 1):(n * s)))
    end
    x
end
LinearAlgebra.ldiv!(W::BlockW, b::Vector) = LinearAlgebra.ldiv!(b, W, b)

function LinearAlgebra.mul!(y::Vector{Float64}, J::BlockJacobian, x::Vector{Float64})
    n = J.ode.n
    for s in 1:(J.ode.batch)
        part = (n * (s - 1) + 1):(n * s)
        LinearAlgebra.mul!(view(y, part), view(J.blocks, :, :, s), view(x, part))
    end
    y
end
function LinearAlgebra.mul!(y::Vector{Float64}, W::BlockW, x::Vector{Float64})
    LinearAlgebra.mul!(y, W.jacobian, x)
    y .-= x ./ W.gamma
    y
end
Base.:*(A::BlockOperator, x::Vector) = LinearAlgebra.mul!(similar(x), A, x)

"""Slope of the right-hand side in time at fixed state, by central differences; zero for a field without time."""
function batch_time_gradient!(dT, y, ode::BatchODE, t)
    fill!(dT, 0)
    depends_on_time(ode) || return nothing
    step = 6e-6 * max(abs(t), 1e-3)   # third root of the rounding error: truncation and rounding are alike
    below = similar(dT)
    batch_rhs!(dT, y, ode, t + step)
    batch_rhs!(below, y, ode, t - step)
    dT .= (dT .- below) ./ 2step
    nothing
end
depends_on_time(ode::FieldODE) = ode.work.field.time_dependent

"""Error norm of a batch: the largest over subjects of the root mean square over states, so that no subject's accuracy depends on the others."""
struct WorstSubject <: Function
    n::Int
end
(::WorstSubject)(x::Number, t) = abs(x)
function (norm::WorstSubject)(x::Vector{Float64}, t)
    worst = 0.0
    for first in 1:(norm.n):length(x)
        total = 0.0
        @inbounds @simd for i in first:(first + norm.n - 1)
            total += x[i] * x[i]
        end
        isnan(total) && return NaN
        worst = max(worst, total)
    end
    sqrt(worst / norm.n)
end

"""The `ODEFunction` of a batch; only stiff methods ask for a Jacobian."""
batch_function(::BatchODE, ::Tsit5) = ODEFunction{true,FullSpecialize}(batch_rhs!)
function batch_function(ode::BatchODE, _)
    jac = BlockJacobian(ode)
    ODEFunction{true,FullSpecialize}(batch_rhs!; tgrad = batch_time_gradient!, jac_prototype = jac, W_prototype = BlockW(jac), sparsity = nothing)
end
