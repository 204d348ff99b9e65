# A dense network on many columns at once, and its pullback. Weights live in one flat vector.

"""
    DenseNet(sizes, activation, first)

Layers `sizes[1] -> sizes[2] -> ...`: hidden layers are `activation.(W x .+ b)`, the last one is `W x .+ b`.

**Layout of the weights**, from place `first` of the flat vector on, layer by layer: `W` row by row (outputs x inputs in C order, as PyTorch
stores `nn.Linear.weight`; seen from Julia, the inputs x outputs matrix `W'`), then `b`.
"""
struct DenseNet
    sizes::Vector{Int}
    activation::String
    first::Int
end

n_layers(net::DenseNet) = length(net.sizes) - 1
n_weights(net::DenseNet) = sum((net.sizes[k] + 1) * net.sizes[k + 1] for k in 1:n_layers(net))

"""`(name, first, rows, columns)` of every block of a network's weights; `first` counts from 1, `W` is stored row by row."""
function layout(net::DenseNet, prefix::String)
    blocks, at = Tuple{String,Int,Int,Int}[], net.first
    for k in 1:n_layers(net)
        inputs, outputs = net.sizes[k], net.sizes[k + 1]
        push!(blocks, ("$prefix.layers.$(k - 1).weight", at, outputs, inputs))
        push!(blocks, ("$prefix.layers.$(k - 1).bias", at + inputs * outputs, outputs, 1))
        at += (inputs + 1) * outputs
    end
    blocks
end

"""`(W', b)` of layer `k` as views of a flat vector."""
function layer(flat::AbstractVector, net::DenseNet, k::Int)
    at = net.first + sum((net.sizes[j] + 1) * net.sizes[j + 1] for j in 1:(k - 1); init = 0)
    inputs, outputs = net.sizes[k], net.sizes[k + 1]
    reshape(view(flat, at:(at + inputs * outputs - 1)), inputs, outputs), view(flat, (at + inputs * outputs):(at + (inputs + 1) * outputs - 1))
end

"""The plain definition: any number type, allocates. What the fast code is tested against."""
function plain(net::DenseNet, weights, x)
    act = plain_activation(net.activation)
    for k in 1:n_layers(net)
        w, b = layer(weights, net, k)
        z = transpose(w) * x .+ b
        x = k < n_layers(net) ? act.(z) : z
    end
    x
end

const Flat = Vector{Float64}
const WeightMatrix = typeof(reshape(view(Flat(undef, 2), 1:2), 1, 2))
const WeightVector = typeof(view(Flat(undef, 2), 1:2))

"""A network's layers as matrices on a flat vector."""
struct Layers
    matrix::Vector{WeightMatrix}
    bias::Vector{WeightVector}
end
function Layers(net::DenseNet, flat::Flat)
    pairs = [layer(flat, net, k) for k in 1:n_layers(net)]
    Layers(WeightMatrix[p[1] for p in pairs], WeightVector[p[2] for p in pairs])
end

"""What one evaluation of a network leaves for its pullback."""
struct NetTape
    input::Matrix{Float64}
    hidden::Vector{Matrix{Float64}}
    slope::Vector{Matrix{Float64}}
    output::Matrix{Float64}
end
function NetTape(net::DenseNet, columns::Int)
    buffers() = [zeros(s, columns) for s in net.sizes[2:(end - 1)]]
    NetTape(zeros(net.sizes[1], columns), buffers(), buffers(), zeros(net.sizes[end], columns))
end

"""Evaluate on `tape.input`; the result is `tape.output`."""
function forward!(tape::NetTape, net::DenseNet, layers::Layers)
    x, last = tape.input, n_layers(net)
    for k in 1:last
        y = k < last ? tape.hidden[k] : tape.output
        BLAS.gemm!('T', 'N', 1.0, layers.matrix[k], x, 0.0, y)
        bias = layers.bias[k]
        if k < last
            activate!(y, tape.slope[k], bias, net.activation)
        else
            @inbounds for j in axes(y, 2)
                @simd ivdep for i in axes(y, 1)
                    y[i, j] += bias[i]
                end
            end
        end
        x = y
    end
    tape.output
end

"""Cotangents of a network's inputs, hidden layers and output; shared by its tapes."""
struct NetBack
    input::Matrix{Float64}
    hidden::Vector{Matrix{Float64}}
    output::Matrix{Float64}
end
NetBack(net::DenseNet, columns::Int) =
    NetBack(zeros(net.sizes[1], columns), [zeros(s, columns) for s in net.sizes[2:(end - 1)]], zeros(net.sizes[end], columns))

"""
Pull `back.output` back through the evaluation on `tape`: fills `back.input`; adds `factor` times the weights' cotangents to
`gradient` unless that is `nothing`.
"""
function backward!(back::NetBack, tape::NetTape, net::DenseNet, layers::Layers, gradient::Union{Nothing,Layers}, factor::Float64)
    delta = back.output
    for k in n_layers(net):-1:1
        x = k > 1 ? tape.hidden[k - 1] : tape.input
        if gradient !== nothing
            BLAS.gemm!('N', 'T', factor, x, delta, 1.0, gradient.matrix[k])
            add_columns!(gradient.bias[k], delta, factor)
        end
        before = k > 1 ? back.hidden[k - 1] : back.input
        BLAS.gemm!('N', 'N', 1.0, layers.matrix[k], delta, 0.0, before)
        if k > 1
            slope = tape.slope[k - 1]
            @inbounds @simd ivdep for i in eachindex(before, slope)
                before[i] *= slope[i]
            end
        end
        delta = before
    end
end

function add_columns!(sum::WeightVector, delta::Matrix{Float64}, factor::Float64)
    @inbounds for j in axes(delta, 2)
        @simd ivdep for i in axes(delta, 1)
            sum[i] = muladd(factor, delta[i, j], sum[i])
        end
    end
end
