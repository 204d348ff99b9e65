# The field of scaling across body masses, with its pullback.

"""
    ScalingField(n_block; hidden = (8,), activation = "tanh")

Change of `y = [ln clearance, ln volume]` with log body mass over one piece of the way, `t` from 0 to 1: a learned mixture of known laws for
the clearance, and a volume that follows binding as far as tissue holds the drug. With `x = x0 + span t`, `f = fu + fu_change t` the logit of the
unbound fraction, and cubics in `t` for the logs of liver flow `Q` and filtration `G`, for the slopes in `x` of `Q`, `G` and liver mass, and for
the deviations `d`:

    g      = softmax(gate([tanh((y1 - Q) / 2); tanh((ln fu + G - y1) / 2); ln fu / 3; block]))
    beta   = (1 - fu) fu_slope,    alpha = sigmoid(share([y2 - x; block]))
    dy1/dt = span (g1 exponent + g2 Q' + g3 (G' + beta) + g4 (L' + beta) + d_clearance)
    dy2/dt = span (1 + alpha beta + d_volume)

Rows of a subject's parameters: `x0, span, fu, fu_change, fu_slope, exponent`, seven cubics of four coefficients (`Q, G, Q', G', L', d_clearance,
d_volume`) from the constant on, then the block.
"""
struct ScalingField <: NeuralField
    n_block::Int
    n_parameters::Int
    time_dependent::Bool
    gate::DenseNet
    share::DenseNet
end

const CUBICS = 7:4:31      # first row of each cubic
const BLOCK = 34           # rows before the block

function ScalingField(n_block::Integer; hidden = (8,), activation = "tanh")
    checked(n_block, "n_block", 0)
    gate = DenseNet([3 + n_block; collect(hidden); 4], checked_activation(activation), 1)
    ScalingField(n_block, BLOCK + n_block, true, gate, DenseNet([1 + n_block, 1], activation, 1 + n_weights(gate)))
end

n_states(::ScalingField) = 2
networks(f::ScalingField) = (gate = f.gate, share = f.share)
columns(::ScalingField, batch) = [batch, batch]

cubic(p, first, b, t) = @inbounds evalpoly(t, (p[first, b], p[first + 1, b], p[first + 2, b], p[first + 3, b]))
log_sigmoid(x) = min(x, zero(x)) - log1p(exp(-abs(x)))
sigmoid(x) = inv(one(x) + exp(-x))

"""What binding and the laws are in subject `b` at `t`: ln fu, 1 - fu, beta, the laws' exponents, the deviations."""
function laws(p, b, t)
    fu = p[3, b] + p[4, b] * t
    free = sigmoid(-fu)
    binding = free * p[5, b]
    exponents = (p[6, b], cubic(p, CUBICS[3], b, t), cubic(p, CUBICS[4], b, t) + binding, cubic(p, CUBICS[5], b, t) + binding)
    (; log_fu = log_sigmoid(fu), free, binding, exponents, d_clearance = cubic(p, CUBICS[6], b, t), d_volume = cubic(p, CUBICS[7], b, t))
end

"""What the two networks see beside the block."""
function seen(p, b, t, y1, y2, log_fu)
    flow, filtration = cubic(p, CUBICS[1], b, t), cubic(p, CUBICS[2], b, t)
    (tanh(0.5 * (y1 - flow)), tanh(0.5 * (log_fu + filtration - y1)), log_fu / 3, y2 - p[1, b] - p[2, b] * t)
end

function (f::ScalingField)(y, weights, p, t)
    reduce(hcat, map(1:size(y, 2)) do b
        law, block = laws(p, b, t), p[(BLOCK + 1):end, b]
        a, c, d, e = seen(p, b, t, y[1, b], y[2, b], law.log_fu)
        score = exp.(vec(plain(f.gate, weights, reshape([a; c; d; block], :, 1))))
        share = sigmoid(only(plain(f.share, weights, reshape([e; block], :, 1))))
        p[2, b] .* [sum(score .* collect(law.exponents)) / sum(score) + law.d_clearance, 1 + share * law.binding + law.d_volume]
    end)
end

"""Tapes of both networks, with the block filled in, and one place that remembers the time."""
function Tape(w::Work{ScalingField})
    f = w.field
    gate, share = NetTape(f.gate, w.batch), NetTape(f.share, w.batch)
    block = w.parameters[(BLOCK + 1):end, :]
    gate.input[4:end, :] = block
    share.input[2:end, :] = block
    Tape([gate, share, NetTape(zeros(1, 1), Matrix{Float64}[], Matrix{Float64}[], zeros(0, 0))])
end

function evaluate!(dy, w::Work{ScalingField}, tapes::Tape, y, t)
    f, p, (gate, share, time) = w.field, w.parameters, tapes.nets
    time.input[1] = t
    @inbounds for b in 1:(w.batch)
        log_fu = log_sigmoid(p[3, b] + p[4, b] * t)
        gate.input[1, b], gate.input[2, b], gate.input[3, b], share.input[1, b] = seen(p, b, t, y[2b - 1], y[2b], log_fu)
    end
    forward!(gate, f.gate, w.layers[1])
    forward!(share, f.share, w.layers[2])
    # the tapes keep the mixture and the share themselves: pullbacks of the networks do not read their outputs
    @inbounds for b in 1:(w.batch)
        top = max(gate.output[1, b], gate.output[2, b], gate.output[3, b], gate.output[4, b])
        total = 0.0
        for k in 1:4
            gate.output[k, b] = exp(gate.output[k, b] - top)
            total += gate.output[k, b]
        end
        share.output[1, b] = sigmoid(share.output[1, b])
        law = laws(p, b, t)
        clearance = law.d_clearance
        for k in 1:4
            gate.output[k, b] /= total
            clearance += gate.output[k, b] * law.exponents[k]
        end
        dy[2b - 1] = p[2, b] * clearance
        dy[2b] = p[2, b] * (1.0 + share.output[1, b] * law.binding + law.d_volume)
    end
    dy
end

function pullback!(vy, w::Work{ScalingField}, tapes::Tape, v, factor::Float64)
    f, p, (gate, share, time), (gates, shares) = w.field, w.parameters, tapes.nets, w.back
    t = time.input[1]
    @inbounds for b in 1:(w.batch)
        law, span = laws(p, b, t), p[2, b]
        mean = 0.0
        for k in 1:4
            mean += gate.output[k, b] * law.exponents[k]
        end
        for k in 1:4
            gates.output[k, b] = v[2b - 1] * span * gate.output[k, b] * (law.exponents[k] - mean)
        end
        alpha = share.output[1, b]
        shares.output[1, b] = v[2b] * span * law.binding * alpha * (1.0 - alpha)
    end
    gradient(net) = factor == 0 ? nothing : w.gradient[net]
    backward!(gates, gate, f.gate, w.layers[1], gradient(1), factor)
    backward!(shares, share, f.share, w.layers[2], gradient(2), factor)
    @inbounds for b in 1:(w.batch)
        a, c = gate.input[1, b], gate.input[2, b]
        of_flow, of_filtration = 0.5 * gates.input[1, b] * (1.0 - a * a), 0.5 * gates.input[2, b] * (1.0 - c * c)
        vy[2b - 1] = of_flow - of_filtration
        vy[2b] = shares.input[1, b]
        factor == 0 || add_law!(w, tapes, v, factor, b, of_flow, of_filtration)
    end
    vy
end

"""Add subject `b`'s cotangents of its own parameters."""
function add_law!(w::Work{ScalingField}, tapes::Tape, v, factor, b, of_flow, of_filtration)
    p, out, (gate, share, time), (gates, shares) = w.parameters, w.parameter_gradient, tapes.nets, w.back
    t, span = time.input[1], p[2, b]
    law, alpha = laws(p, b, t), share.output[1, b]
    v1, v2, of_x = v[2b - 1], v[2b], -shares.input[1, b]
    clearance = law.d_clearance
    for k in 1:4
        clearance += gate.output[k, b] * law.exponents[k]
    end
    of_binding = span * (v1 * (gate.output[3, b] + gate.output[4, b]) + v2 * alpha)
    of_log_fu = of_filtration + gates.input[3, b] / 3
    of_fu = of_log_fu * law.free - of_binding * p[5, b] * law.free * (1.0 - law.free)
    out[1, b] += factor * of_x
    out[2, b] += factor * (of_x * t + v1 * clearance + v2 * (1.0 + alpha * law.binding + law.d_volume))
    out[3, b] += factor * of_fu
    out[4, b] += factor * of_fu * t
    out[5, b] += factor * of_binding * law.free
    out[6, b] += factor * v1 * span * gate.output[1, b]
    each = (-of_flow, of_filtration, v1 * span * gate.output[2, b], v1 * span * gate.output[3, b], v1 * span * gate.output[4, b], v1 * span, v2 * span)
    for (first, value) in zip(CUBICS, each)
        power = factor * value
        for i in 0:3
            out[first + i, b] += power
            power *= t
        end
    end
    for i in 1:(w.field.n_block)
        out[BLOCK + i, b] += factor * (gates.input[3 + i, b] + shares.input[1 + i, b])
    end
end
