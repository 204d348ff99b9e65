module PBPKHybridDiffEqGPUExt

# One subject per GPU thread: the System as an out-of-place SVector problem. Structure is a type parameter (tuples), so that
# the kernel is unrolled and needs no arrays but its own subject's numbers.

using DiffEqGPU: EnsembleGPUKernel, GPUKvaerno5, GPURodas5P, GPURosenbrock23
using PBPKHybrid
using PBPKHybrid: ADD, KEEP, RATE, RATE_LAWS, closed, column, dose_scale, law_rate, n_states, n_subjects, parameter_count, stop_value
using SciMLBase: EnsembleProblem, ODEFunction, ODEProblem, remake
using SciMLBase: SciMLBase
using StaticArrays: SMatrix, SVector

const GPU_METHODS = Dict("rodas5p" => GPURodas5P, "rosenbrock23" => GPURosenbrock23, "kvaerno5" => GPUKvaerno5)

"""
What the kernel knows at compile time: positions of K, and for each reaction (law, reactants, states, gains, first parameter, parameters).
"""
struct GPUField{N,ROWS,COLS,REACTIONS} end

function GPUField(s::PBPKSystem)
    at, reactions = 1, []
    for r in s.reactions
        states, gains = Tuple(first.(r.stoichiometry)), Tuple(last.(r.stoichiometry))
        count = parameter_count(r.law, length(r.reactants))
        push!(reactions, (RATE_LAWS[r.law][1], Tuple(r.reactants), states, gains, at, count))
        at += count
    end
    GPUField{n_states(s),Tuple(s.k_row),Tuple(s.k_col),Tuple(reactions)}()
end

# parameters of a subject: K values, reaction parameters, infusion rates, in one SVector

function rate_expression(reaction, offset)
    law, reactants, _, _, first, count = reaction
    y = Expr(:tuple, (:(u[$i]) for i in reactants)...)
    p = Expr(:tuple, (:(p[$(offset + first + j)]) for j in 0:(count - 1))...)
    :(law_rate($law, $y, $p))
end

@generated function (::GPUField{N,ROWS,COLS,REACTIONS})(u::SVector{N}, p, t) where {N,ROWS,COLS,REACTIONS}
    entries = length(ROWS)
    parameters = sum(r -> r[6], REACTIONS; init = 0)
    rates = [Expr(:(=), Symbol(:v, m), rate_expression(r, entries)) for (m, r) in enumerate(REACTIONS)]
    row(i) = begin
        terms = Any[:(p[$(entries + parameters + i)])]
        append!(terms, (:(p[$e] * u[$(COLS[e])]) for e in 1:entries if ROWS[e] == i))
        for (m, r) in enumerate(REACTIONS), (state, gain) in zip(r[3], r[4])
            state == i && push!(terms, :(eltype(p)($gain) * $(Symbol(:v, m))))
        end
        foldl((a, b) -> :($a + $b), terms)
    end
    quote
        $(rates...)
        SVector{$N}($((row(i) for i in 1:N)...))
    end
end

function PBPKHybrid.solve_gpu(problem::PBPKProblem, backend; method = "rodas5p", rtol = 1e-6, atol = nothing, precision = Float64)
    haskey(GPU_METHODS, method) ||
        throw(ArgumentError("method: got $(repr(method)), expected one of $(join(sort!(collect(keys(GPU_METHODS))), ", "))"))
    s, T = problem.system, precision
    isempty(s.expressions) && isempty(s.events) || throw(ArgumentError("system: events and reactions of law expression are not solved on a GPU; use solve"))
    n, subjects, times = n_states(s), n_subjects(s), problem.times
    scale = maximum(max.(dose_scale(problem.stops, subjects), vec(maximum(problem.y0; dims = 1))))
    tolerance = something(atol, rtol * 1e-5 * (scale > 0 ? scale : 1.0))
    state = [SVector{n,T}(view(problem.y0, :, column(problem.y0, i))) for i in 1:subjects]
    rates = zeros(T, n, subjects)
    given, flow = [Float64(sum(y)) for y in state], zeros(subjects)
    amount, gave = fill(NaN, length(problem.saved), length(times), subjects), fill(NaN, length(times), subjects)
    balance = fill(NaN, length(times), closed(s) ? subjects : 0)
    field, algorithm = GPUField(s), GPU_METHODS[method]()
    fastest = maximum(abs, s.k_value; init = 1e-3)
    stops = sortperm([(problem.stops.time[e], problem.stops.kind[e] == KEEP ? 0 : 1, e) for e in 1:length(problem.stops)])
    t, row, next = problem.start_time, 1, 1
    while true
        while next <= length(stops) && problem.stops.time[stops[next]] <= t
            apply!(state, rates, given, flow, problem.stops, stops[next])
            next += 1
        end
        while row <= length(times) && times[row] <= t
            foreach(i -> save!(amount, gave, balance, problem, i, row, state[i], given[i]), 1:subjects)
            row += 1
        end
        row > length(times) && break
        until = next <= length(stops) ? min(problem.stops.time[stops[next]], times[end]) : times[end]
        inside = row:(searchsortedfirst(times, until) - 1)
        at = T[times[inside] .- t; until - t]
        runs = segment(field, s, state, rates, at, algorithm, backend, T; rtol, atol = tolerance, dt = 0.5 * rtol^0.25 / fastest)
        for i in 1:subjects
            for (k, r) in enumerate(inside)
                save!(amount, gave, balance, problem, i, r, runs[i][k], given[i] + flow[i] * (times[r] - t))
            end
            state[i] = runs[i][end]
            given[i] += flow[i] * (until - t)
        end
        row, t = last(inside) + 1, until
    end
    status = [all(isfinite, y) ? SUCCESS : NOT_FINITE for y in state]
    final = reduce(hcat, (Vector{Float64}(y) for y in state))
    for i in findall(!=(SUCCESS), status)
        amount[:, :, i] .= NaN
        final[:, i] .= NaN
        isempty(balance) || (balance[:, i] .= NaN)
    end
    PBPKSolution(problem, "gpu $method", amount, balance, gave, final, status, zeros(Int64, 2, subjects))
end

"""States of every subject at the times `at` after a stop."""
function segment(field, s, state, rates, at, algorithm, backend, ::Type{T}; rtol, atol, dt) where {T}
    subjects = length(state)
    numbers(i) = begin
        values = vcat(s.k_value[:, column(s.k_value, i)], (r.parameters[:, column(r.parameters, i)] for r in s.reactions)..., rates[:, i])
        SVector{length(values),T}(values)
    end
    parameters = [numbers(i) for i in 1:subjects]
    one_problem = ODEProblem{false}(field, state[1], (zero(T), at[end]), parameters[1])
    pick(i) = min(i, subjects)  # DiffEqGPU runs a single trajectory on another path: a second copy keeps it on this one
    ensemble = EnsembleProblem(
        one_problem; prob_func = (prob, ctx) -> remake(prob; u0 = state[pick(ctx.sim_id)], p = parameters[pick(ctx.sim_id)]), safetycopy = false,
    )
    runs = SciMLBase.solve(
        ensemble, algorithm, EnsembleGPUKernel(backend, 0.0); trajectories = max(2, subjects), saveat = at, abstol = T(atol), reltol = T(rtol),
        dt = T(min(dt, at[end])), adaptive = true,
    )
    [reached(runs.u[i], length(at)) for i in 1:subjects]
end

"""The saved states of one run; NaN where it did not arrive."""
function reached(run, count)
    length(run.u) == count && return run.u
    lost = zero(run.u[1]) .* eltype(run.u[1])(NaN)
    [k <= length(run.u) ? run.u[k] : lost for k in 1:count]
end

function apply!(state, rates, given, flow, stops, stop)
    for i in eachindex(state)
        stops.subject[stop] in (0, i) || continue
        value, at, kind = stop_value(stops, stop, i), stops.state[stop], stops.kind[stop]
        if kind == ADD
            state[i] = setindex(state[i], state[i][at] + value, at)
            given[i] += value
        elseif kind == RATE
            rates[at, i] += value
            flow[i] = sum(view(rates, :, i))
        else
            state[i] = state[i] .* eltype(state[i])(value)
            rates[:, i] .*= value
            given[i] *= value
            flow[i] *= value
        end
    end
end

setindex(y::SVector, value, at) = Base.setindex(y, eltype(y)(value), at)

function save!(amount, gave, balance, problem, i, row, y, given)
    for (o, name) in enumerate(problem.saved)
        observable = problem.system.observables[name]
        amount[o, row, i] = sum(w * y[j] for (j, w) in zip(observable.states, observable.weights))
    end
    gave[row, i] = given
    isempty(balance) || (balance[row, i] = sum(y) - given)
end

end
