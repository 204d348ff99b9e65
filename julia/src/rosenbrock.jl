# A Rosenbrock step of a pack. Method, tableau, controller and interpolant are OrdinaryDiffEq's; the stages are loops over rows of lanes
# with the pack's own kernels, one loop per sum, without copies and without the weights that only iterative solvers need.

"""The cache of a Rosenbrock method whose `W` is factorised along the organ graph."""
const PackCache{L,T} = RosenbrockCache{<:Any,<:Any,<:Any,<:Any,<:Any,GraphW{L,T}}

"""Stages of a method, and rows of its interpolant, as constants of the code."""
method_size(::Rodas5P) = Val(8), Val(3)
method_size(::Union{Rodas4,Rodas4P}) = Val(6), Val(2)

"""`out[i] = base[i] + sum_j weights[j] rows[j][i]`."""
@generated function weighted_rows!(out::Rows{L,T}, base::Rows{L,T}, weights::NTuple{S,T}, rows::NTuple{S,Rows{L,T}}, n) where {L,T,S}
    sum = foldl((z, j) -> :($z + $(Symbol(:w, j)) * rows[$j][i]), 1:S; init = :(base[i]))
    quote
        $((:($(Symbol(:w, j)) = splat(Lanes{L,T}, weights[$j])) for j in 1:S)...)
        for i in 1:n
            out[i] = $sum
        end
        nothing
    end
end

"""`out[i] = base[i] + (sum_j weights[j] rows[j][i])`, the sum rounded before it is added; without a base the sum alone."""
@generated function summed_rows!(out::Rows{L,T}, base, weights::NTuple{S,T}, rows::NTuple{S,Rows{L,T}}, n) where {L,T,S}
    sum = foldl((z, j) -> :($z + $(Symbol(:w, j)) * rows[$j][i]), 2:S; init = :(w1 * rows[1][i]))
    quote
        $((:($(Symbol(:w, j)) = splat(Lanes{L,T}, weights[$j])) for j in 1:S)...)
        for i in 1:n
            out[i] = $(base === Nothing ? sum : :(plain_sum(base[i], $sum)))
        end
        nothing
    end
end

"""`rows[1]` times its weight, plus the others times theirs, of row i."""
weighted_row(weight, S) = foldl((z, j) -> :($z + $(weight(j)) * k[$j][i]), 2:S; init = :($(weight(1)) * k[1][i]))

"""Rows of the interpolant: `dense[q][i] = sum_j weights[q][j] k[j][i]`."""
@generated function dense_rows!(dense::NTuple{Q,Rows}, weights::NTuple{Q,Tuple}, k::NTuple{S,Rows}, n) where {Q,S}
    body = [:(dense[$q][i] = $(weighted_row(j -> :(weights[$q][$j]), S))) for q in 1:Q]
    quote
        for i in 1:n
            $(body...)
        end
        nothing
    end
end

"""`u = y + sum_j b[j] k[j]`, and the sum over states of the squared error in units of the tolerance, lane by lane."""
@generated function end_of_step!(
    u::Rows{L,T}, y::Rows{L,T}, atol::Rows{L,T}, rtol, b::NTuple{S,T}, error::NTuple{S,T}, k::NTuple{S,Rows{L,T}}, n,
) where {L,T,S}
    after = foldl((z, j) -> :($z + b[$j] * k[$j][i]), 1:S; init = :(y[i]))
    quote
        total = zero(Lanes{L,T})
        for i in 1:n
            before = y[i]
            after = $after
            u[i] = after
            e = $(weighted_row(j -> :(error[$j]), S)) / (atol[i] + rtol * greater(quiet_abs(before), quiet_abs(after)))
            total = total + e * e
        end
        total
    end
end

"""All stages: `ks` become minus OrdinaryDiffEq's, since `substitute!` returns minus the solution; `A` and `C` come with that sign."""
@generated function stages!(ks, k::NTuple{S,Rows{L,T}}, A, C, uprev, u, du, b, W::GraphW{L,T}, p::Pack{L,T}, n, t) where {S,L,T}
    body = Any[:(first_stage!(ks[1], uprev, b, W, p, t))]
    for s in 2:S
        done = Expr(:tuple, (:(k[$j]) for j in 1:(s - 1))...)
        push!(
            body,
            :(weighted_rows!(Rows{L}(u), Rows{L}(uprev), A[$s], $done, n)),
            :(next_stage!(ks[$s], u, du, b, C[$s], $done, W, p, n, t)),
        )
    end
    :($(body...); nothing)
end

function first_stage!(k, u, b, W::GraphW{L,T}, p, t) where {L,T}
    code = p.structure.code
    has_code(code, Lanes{L,T}) && return run_stage!(code, k, u, fill!(b, 0), p, W.lu)
    pack_rhs!(b, u, p, t)
    substitute!(k, W.lu, b, p.structure, Lanes{L,T})
end

"""`k`: the right-hand side at u, plus the earlier stages with their weights, solved; in one go where the model is compiled."""
@inline function next_stage!(k, u, du, b, weights, earlier, W::GraphW{L,T}, p, n, t) where {L,T}
    code = p.structure.code
    if has_code(code, Lanes{L,T})
        summed_rows!(Rows{L}(b), nothing, weights, earlier, n)
        run_stage!(code, k, u, b, p, W.lu)
    else
        pack_rhs!(du, u, p, t)
        summed_rows!(Rows{L}(b), Rows{L}(du), weights, earlier, n)
        substitute!(k, W.lu, b, p.structure, Lanes{L,T})
    end
    nothing
end

"""The same by a model's own code, one call a stage; these `ks` are OrdinaryDiffEq's."""
function written_stages!(written, ks, tab, per_h, uprev, W, p)
    weights = W.weights
    @inbounds for s in eachindex(ks)
        W.stages[s] = pointer(ks[s])
        first = 2 * MOST_STAGES * (s - 1)
        for j in 1:(s - 1)
            weights[first + j] = tab.A[s, j]
            weights[first + MOST_STAGES + j] = tab.C[s, j] * per_h
        end
        run_written_stage!(written[s], W.stages, uprev, p, W.lu, weights, first + 1)
    end
    nothing
end

const NO_STAGES = Ptr{Cvoid}[]
@inline written_stages(code::MachineCode, ::Type{Lanes{L,T}}) where {L,T} =
    L == LANES && T === Float64 ? (@atomic :acquire code.stages) : NO_STAGES

"""Tuples of tuples of expressions, as an expression."""
tuples(rows) = Expr(:tuple, (Expr(:tuple, row...) for row in rows)...)

"""Row s of a strictly lower triangular matrix times `factor`, as a tuple of s - 1 numbers; all rows."""
@generated lower_rows(M, factor, ::Val{S}) where {S} = tuples((:(factor * (@inbounds M[$s, $j])) for j in 1:(s - 1)) for s in 1:S)
@generated all_rows(M, factor, ::Val{Q}, ::Val{S}) where {Q,S} = tuples((:(factor * (@inbounds M[$q, $j])) for j in 1:S) for q in 1:Q)
@inline weights_of(v, factor, ::Val{S}) where {S} = ntuple(j -> factor * (@inbounds v[j]), Val(S))

function OrdinaryDiffEqCore.perform_step!(integrator, cache::PackCache{L,T}, repeat_step = false) where {L,T}
    if is_ours(integrator, cache.alg)
        pack_step!(integrator, cache)
    else
        invoke(OrdinaryDiffEqCore.perform_step!, Tuple{Any,RosenbrockCache,Any}, integrator, cache, repeat_step)
    end
    nothing
end

"""Whether a step is one of `solve`'s: a pack's `ODEProblem` may also be solved with other norms and tolerances (`pack_problem`)."""
is_ours(integrator, alg) = alg isa Union{Rodas5P,Rodas4,Rodas4P} && integrator.opts.internalnorm isa WorstLane && integrator.opts.abstol isa Vector

function pack_step!(integrator, cache::PackCache{L,T}) where {L,T}
    (; dt, uprev, u, p, t) = integrator
    (; W, ks, du, tab) = cache
    b, n = cache.linsolve_tmp, length(u) ÷ L
    stages, rows = method_size(cache.alg)
    refresh!(W.lu, uprev, p, inv(dt * tab.gamma))
    W.gamma = dt * tab.gamma
    GC.@preserve integrator cache begin
        k = ntuple(j -> Rows{L}(@inbounds ks[j]), stages)
        written = written_stages(p.structure.code, Lanes{L,T})
        sign = isempty(written) ? -one(T) : one(T)  # of the ks
        if isempty(written)
            stages!(ks, k, lower_rows(tab.A, -one(T), stages), lower_rows(tab.C, -inv(dt), stages), uprev, u, du, b, W, p, n, t)
        else
            written_stages!(written, ks, tab, inv(dt), uprev, W, p)
        end
        total = end_of_step!(
            Rows{L}(u), Rows{L}(uprev), Rows{L}(integrator.opts.abstol), integrator.opts.reltol, weights_of(tab.b, sign, stages),
            weights_of(tab.btilde, sign, stages), k, n,
        )
        error = worst_lane(total, n)
        # a step too long for the model to be defined at its end is tried again shorter, as one that is too inaccurate is
        OrdinaryDiffEqCore.set_EEst!(integrator, isfinite(error) ? error : T(1e9))
        if integrator.opts.calck
            dense = ntuple(q -> Rows{L}(@inbounds integrator.k[q]), rows)
            dense_rows!(dense, all_rows(tab.H, sign, rows, stages), k, n)
        end
    end
    count_work!(integrator.stats, length(ks))
    nothing
end

function count_work!(stats, stages)
    stats.nf += stages
    stats.nsolve += stages
    stats.nw += 1
    stats.njacs += 1
end
