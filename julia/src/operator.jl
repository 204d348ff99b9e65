# The graph's factorisation as OrdinaryDiffEq's `W = J - I/gamma`: refreshed once per step, solved by substitution.

"""The Jacobian of a pack as an operator; `W_prototype` asks for one. Only its product with a vector is defined."""
struct GraphJacobian{L,T} <: AbstractSciMLOperator{T}
    pack::Pack{L,T}
    jac::Vector{T}  # -J in LU order
end
GraphJacobian(p::Pack{L,T}) where {L,T} = GraphJacobian{L,T}(p, zeros(T, L * n_entries(p.structure)))

"""`W = J(u) - I/gamma` of a pack as factors along the organ graph."""
mutable struct GraphW{L,T} <: AbstractSciMLOperator{T}
    const jacobian::GraphJacobian{L,T}
    const lu::Vector{T}
    gamma::T
    const stages::Vector{Ptr{T}}  # addresses of a step's stages, and their weights, for stages written out
    const weights::Vector{T}
end
GraphW(j::GraphJacobian{L,T}) where {L,T} =
    GraphW{L,T}(j, zeros(T, length(j.jac)), one(T), fill(Ptr{T}(0), MOST_STAGES), zeros(T, 2 * MOST_STAGES * MOST_STAGES))

const GraphOperator{L,T} = Union{GraphJacobian{L,T},GraphW{L,T}}
jacobian(J::GraphJacobian) = J
jacobian(W::GraphW) = W.jacobian

Base.size(A::GraphOperator{L}) where {L} = (m = L * n_states(jacobian(A).pack.structure); (m, m))
Base.size(A::GraphOperator, d::Integer) = d <= 2 ? size(A)[d] : 1
SciMLOperators.islinear(::GraphOperator) = true
SciMLOperators.isconstant(::GraphOperator) = false
SciMLOperators.issquare(::GraphOperator) = true
SciMLOperators.has_adjoint(::GraphOperator) = false
SciMLOperators.has_mul(::GraphOperator) = true
SciMLOperators.has_mul!(::GraphOperator) = true
SciMLOperators.has_ldiv(::GraphW) = true
SciMLOperators.has_ldiv!(::GraphW) = true
SciMLOperators.isconvertible(::GraphOperator) = false
SciMLOperators.iscached(::GraphOperator) = true

function SciMLOperators.update_coefficients!(J::GraphJacobian, u, p, t; kwargs...)
    pack_jacobian!(J.jac, u, J.pack)
    J
end

function SciMLOperators.update_coefficients!(W::GraphW{L,T}, u, p, t; gamma = nothing, kwargs...) where {L,T}
    gamma === nothing || (W.gamma = gamma)
    refresh!(W.lu, u, W.jacobian.pack, inv(W.gamma))
    W
end

function LinearAlgebra.ldiv!(x::Vector{T}, W::GraphW{L,T}, b::Vector{T}) where {L,T}
    substitute!(x, W.lu, b, W.jacobian.pack.structure, Lanes{L,T})
    x
end
LinearAlgebra.ldiv!(W::GraphW, b::Vector) = LinearAlgebra.ldiv!(b, W, b)

function LinearAlgebra.mul!(y::Vector{T}, J::GraphJacobian{L,T}, x::Vector{T}) where {L,T}
    plan = J.pack.structure.plan
    at(row, l) = (row - 1) * L + l
    fill!(y, 0)
    for l in 1:L, i in 1:(plan.n)
        y[at(i, l)] -= J.jac[at(i, l)] * x[at(i, l)]
        for p in plan.l_ptr[i]:(plan.l_ptr[i + 1] - 1)
            y[at(i, l)] -= J.jac[at(plan.n + p, l)] * x[at(plan.l_col[p], l)]
        end
        for p in plan.u_ptr[i]:(plan.u_ptr[i + 1] - 1)
            y[at(i, l)] -= J.jac[at(plan.n + length(plan.l_col) + p, l)] * x[at(plan.u_col[p], l)]
        end
    end
    y
end

"""`y = W x = -L (U x)`, from the factors."""
function LinearAlgebra.mul!(y::Vector{T}, W::GraphW{L,T}, x::Vector{T}) where {L,T}
    plan = W.jacobian.pack.structure.plan
    at(row, l) = (row - 1) * L + l
    for l in 1:L
        for i in 1:(plan.n)
            y[at(i, l)] = -x[at(i, l)] / W.lu[at(i, l)]
            for p in plan.u_ptr[i]:(plan.u_ptr[i + 1] - 1)
                y[at(i, l)] -= W.lu[at(plan.n + length(plan.l_col) + p, l)] * x[at(plan.u_col[p], l)]
            end
        end
        for i in (plan.n):-1:1, p in plan.l_ptr[i]:(plan.l_ptr[i + 1] - 1)
            y[at(i, l)] += W.lu[at(plan.n + p, l)] * y[at(plan.l_col[p], l)]
        end
    end
    y
end
Base.:*(A::GraphOperator, x::Vector) = LinearAlgebra.mul!(similar(x), A, x)

"""What OrdinaryDiffEq calls for every linear system of a step."""
graph_solve(A, b, u, p, isfresh, Pl, Pr, cacheval; kwargs...) = LinearAlgebra.ldiv!(u, A, b)

"""Error norm of a pack: the largest over lanes of the root mean square over states. NaN in any lane gives NaN."""
struct WorstLane{L} <: Function end
(::WorstLane)(x::Number, t) = abs(x)
function (::WorstLane{L})(x::Vector{T}, t) where {L,T}
    total = splat(Lanes{L,T}, 0)
    n = length(x) ÷ L
    GC.@preserve x begin
        rows = Rows{L}(x)
        for i in 1:n
            z = rows[i]
            total = total + z * z
        end
    end
    worst_lane(total, n)
end

"""The root mean square of the worst lane, from sums of squares over n states."""
function worst_lane(total::Lanes{L,T}, n) where {L,T}
    worst = zero(T)
    for l in 1:L
        e = total[l]
        isnan(e) && return e
        worst = max(worst, e)
    end
    sqrt(worst / n)
end

no_time_gradient!(dT, u, p, t) = (fill!(dT, 0); nothing)
never_unstable(dt, u, p, t) = false

"""The `ODEFunction` of a pack: right-hand side, zero time gradient, Jacobian and factorisation along the graph."""
function pack_function(p::Pack)
    jacobian = GraphJacobian(p)
    ODEFunction{true,FullSpecialize}(
        pack_rhs!; tgrad = no_time_gradient!, jac_prototype = jacobian, W_prototype = GraphW(jacobian), sparsity = nothing,
    )
end
