# Neural vector fields dy/dt = f(y, p, t; weights) for a batch of subjects at once: the state is a states x batch matrix, one
# ODE for all of them.

"""A neural vector field: [`MLPField`](@ref), [`GraphField`](@ref) or [`ScalingField`](@ref). Its weights are one flat vector, see [`weight_layout`](@ref)."""
abstract type NeuralField end

"""
    MLPField(n_states; hidden = (32, 32), n_parameters = 0, activation = "tanh", time_dependent = false)

`dy/dt = net([y; p; t])`: a dense network of the state, the subject's own parameters `p`, and the time if `time_dependent`.
`activation`: `"tanh"`, `"softplus"` or `"silu"`; the last layer is linear.
"""
struct MLPField <: NeuralField
    n_states::Int
    n_parameters::Int
    time_dependent::Bool
    net::DenseNet
end

function MLPField(n_states::Integer; hidden = (32, 32), n_parameters::Integer = 0, activation = "tanh", time_dependent::Bool = false)
    checked(n_states, "n_states", 1)
    checked(n_parameters, "n_parameters", 0)
    net = DenseNet([n_states + n_parameters + time_dependent; collect(hidden); n_states], checked_activation(activation), 1)
    MLPField(n_states, n_parameters, time_dependent, net)
end

"""
    GraphField(n_nodes, source, target; n_features = 1, hidden = (32,), n_messages = 8, n_parameters = 0, activation = "tanh",
               time_dependent = false, edge_features = zeros(0, n_edges), node_features = zeros(0, n_nodes))

One round of message passing along the flow edges `source[e] -> target[e]` (nodes from 1) per evaluation:

    m_e     = message([h_source; h_target; edge_features_e; p; t])
    dh_i/dt = update([h_i; sum of m_e over edges into i; node_features_i; p; t])

with `h_i` the `n_features` states of node `i` (states of a node are neighbours: state `(i - 1) n_features + f`), `n_messages` the length of `m_e`,
`p` the subject's own parameters, and `t` there if `time_dependent`. Both networks are shared by all edges and nodes and have hidden layers
`hidden`; features are columns, fixed, not learned.
"""
struct GraphField <: NeuralField
    n_nodes::Int
    n_features::Int
    n_messages::Int
    n_parameters::Int
    time_dependent::Bool
    source::Vector{Int}
    target::Vector{Int}
    edge_features::Matrix{Float64}
    node_features::Matrix{Float64}
    message::DenseNet
    update::DenseNet
end

function GraphField(
    n_nodes::Integer, source, target; n_features::Integer = 1, hidden = (32,), n_messages::Integer = 8, n_parameters::Integer = 0,
    activation = "tanh", time_dependent::Bool = false, edge_features = zeros(0, length(source)), node_features = zeros(0, n_nodes),
)
    foreach(checked, (n_nodes, n_features, n_messages, n_parameters), ("n_nodes", "n_features", "n_messages", "n_parameters"), (1, 1, 1, 0))
    length(source) == length(target) || throw(ArgumentError("target: got $(length(target)) nodes, expected as many as sources ($(length(source)))"))
    all(in(1:n_nodes), [source; target]) || throw(ArgumentError("source: got nodes outside 1 to $n_nodes"))
    size(edge_features, 2) == length(source) || throw(ArgumentError("edge_features: got $(size(edge_features, 2)) columns, expected one per edge"))
    size(node_features, 2) == n_nodes || throw(ArgumentError("node_features: got $(size(node_features, 2)) columns, expected one per node"))
    checked_activation(activation)
    common = n_parameters + time_dependent
    message = DenseNet([2n_features + size(edge_features, 1) + common; collect(hidden); n_messages], activation, 1)
    update = DenseNet([n_features + n_messages + size(node_features, 1) + common; collect(hidden); n_features], activation, 1 + n_weights(message))
    GraphField(
        n_nodes, n_features, n_messages, n_parameters, time_dependent, collect(source), collect(target), edge_features, node_features, message,
        update,
    )
end

checked(value, name, least) = value >= least || throw(ArgumentError("$name: got $value, expected at least $least"))
checked_activation(name) =
    name in ACTIVATIONS ? String(name) : throw(ArgumentError("activation: got $(repr(name)), expected one of $(join(ACTIVATIONS, ", "))"))

n_states(f::MLPField) = f.n_states
n_states(f::GraphField) = f.n_nodes * f.n_features
networks(f::MLPField) = (net = f.net,)
networks(f::GraphField) = (message = f.message, update = f.update)

"""Number of weights and biases of a field."""
n_weights(f::NeuralField) = sum(n_weights, networks(f))

"""
    weight_layout(field)

`(name, first, rows, columns)` of every block in a field's flat weight vector, in order: weights row by row, then the bias. The names are those of
PyTorch's `state_dict` in `pbpk_hybrid.learn`.
"""
weight_layout(f::NeuralField) = reduce(vcat, (layout(net, String(name)) for (name, net) in pairs(networks(f))))

"""
    initial_weights(field[, rng])

Random weights: uniform within `1 / sqrt(inputs)` of zero, as PyTorch starts a linear layer.
"""
function initial_weights(f::NeuralField, rng...)
    weights = zeros(n_weights(f))
    for net in networks(f), k in 1:n_layers(net)
        w, b = layer(weights, net, k)
        bound = 1 / sqrt(net.sizes[k])
        w .= bound .* (2 .* rand(rng..., size(w)...) .- 1)
        b .= bound .* (2 .* rand(rng..., length(b)) .- 1)
    end
    weights
end

time_row(f::NeuralField, t, columns) = f.time_dependent ? fill(t, 1, columns) : zeros(typeof(t), 0, columns)

"""The plain definition of a field, `f(y, weights, p, t)`: any number type, states x batch and parameters x batch matrices."""
(f::MLPField)(y, weights, p, t) = plain(f.net, weights, vcat(y, p, time_row(f, t, size(y, 2))))
function (f::GraphField)(y, weights, p, t)
    batch, n, edges = size(y, 2), f.n_nodes, length(f.source)
    subject_of(count) = repeat(1:batch; inner = count)
    h = reshape(y, f.n_features, :)
    from = [s + n * (b - 1) for b in 1:batch for s in f.source]
    into = [s + n * (b - 1) for b in 1:batch for s in f.target]
    common(count) = vcat(p[:, subject_of(count)], time_row(f, t, count * batch))
    messages = plain(f.message, weights, vcat(h[:, from], h[:, into], repeat(f.edge_features, 1, batch), common(edges)))
    arriving = messages * [Float64(i == j) for i in into, j in 1:(n * batch)]
    reshape(plain(f.update, weights, vcat(h, arriving, repeat(f.node_features, 1, batch), common(n))), :, batch)
end

"""
    Work(field, weights, parameters, gradient, parameter_gradient)

Everything the evaluations of a field for one batch share: weights and their gradient as matrices, parameters, cotangent
buffers. The arrays are used, not copied; gradients are added to.
"""
struct Work{F<:NeuralField}
    field::F
    batch::Int
    parameters::Matrix{Float64}
    layers::Vector{Layers}
    gradient::Vector{Layers}
    parameter_gradient::Matrix{Float64}
    back::Vector{NetBack}
    columns::Vector{Int}
end

columns(::MLPField, batch) = [batch]
columns(f::GraphField, batch) = [batch * length(f.source), batch * f.n_nodes]

function Work(f::NeuralField, weights::Flat, parameters::Matrix{Float64}, gradient::Flat, parameter_gradient::Matrix{Float64}, batch::Int)
    nets, per_net = networks(f), columns(f, batch)
    Work(
        f, batch, parameters, [Layers(net, weights) for net in nets], [Layers(net, gradient) for net in nets], parameter_gradient,
        [NetBack(net, c) for (net, c) in zip(nets, per_net)], per_net,
    )
end

"""What one evaluation of a field leaves for its pullback: one tape per network, rows that never change filled in."""
struct Tape
    nets::Vector{NetTape}
end

function Tape(w::Work{MLPField})
    f = w.field
    tape = NetTape(f.net, w.batch)
    tape.input[(f.n_states + 1):(f.n_states + f.n_parameters), :] = w.parameters
    Tape([tape])
end

function Tape(w::Work{GraphField})
    f = w.field
    fixed(net, count, first, features) = begin
        tape = NetTape(net, count * w.batch)
        last = first + size(features, 1)
        tape.input[(first + 1):last, :] = repeat(features, 1, w.batch)
        tape.input[(last + 1):(last + f.n_parameters), :] = repeat(w.parameters; inner = (1, count))
        tape
    end
    Tape([
        fixed(f.message, length(f.source), 2f.n_features, f.edge_features),
        fixed(f.update, f.n_nodes, f.n_features + f.n_messages, f.node_features),
    ])
end

function set_time!(f::NeuralField, tape::NetTape, t)
    f.time_dependent && fill!(view(tape.input, size(tape.input, 1), :), t)
    nothing
end

"""`dy = f(y, p, t)`; `y` and `dy` are states x batch, as matrices or as vectors."""
function evaluate!(dy, w::Work{MLPField}, tapes::Tape, y, t)
    f, tape = w.field, tapes.nets[1]
    input, n = tape.input, f.n_states
    @inbounds for b in 1:(w.batch)
        @simd ivdep for i in 1:n
            input[i, b] = y[i + n * (b - 1)]
        end
    end
    set_time!(f, tape, t)
    copyto!(dy, forward!(tape, f.net, w.layers[1]))
end

function evaluate!(dy, w::Work{GraphField}, tapes::Tape, y, t)
    f, (messages, updates) = w.field, tapes.nets
    n, features, edges, length_m = f.n_nodes, f.n_features, length(f.source), f.n_messages
    input, arriving = messages.input, updates.input
    @inbounds for b in 1:(w.batch), e in 1:edges
        column, from, into = e + edges * (b - 1), features * (f.source[e] - 1 + n * (b - 1)), features * (f.target[e] - 1 + n * (b - 1))
        for i in 1:features
            input[i, column] = y[from + i]
            input[features + i, column] = y[into + i]
        end
    end
    set_time!(f, messages, t)
    sent = forward!(messages, f.message, w.layers[1])
    @inbounds for column in 1:(n * w.batch)
        for i in 1:features
            arriving[i, column] = y[features * (column - 1) + i]
        end
        for i in 1:length_m
            arriving[features + i, column] = 0.0
        end
    end
    @inbounds for b in 1:(w.batch), e in 1:edges
        column, into = e + edges * (b - 1), f.target[e] + n * (b - 1)
        for i in 1:length_m
            arriving[features + i, into] += sent[i, column]
        end
    end
    set_time!(f, updates, t)
    copyto!(dy, forward!(updates, f.update, w.layers[2]))
end

"""
    pullback!(vy, w, tape, v, factor)

`vy = (df/dy)' v` at the evaluation on `tape`; unless `factor` is 0, `factor (df/dweights)' v` and `factor (df/dp)' v` are added to
the gradients of `w`.
"""
function pullback!(vy, w::Work{MLPField}, tapes::Tape, v, factor::Float64)
    f, back, n = w.field, w.back[1], w.field.n_states
    copyto!(back.output, v)
    backward!(back, tapes.nets[1], f.net, w.layers[1], factor == 0 ? nothing : w.gradient[1], factor)
    input = back.input
    @inbounds for b in 1:(w.batch)
        @simd ivdep for i in 1:n
            vy[i + n * (b - 1)] = input[i, b]
        end
    end
    factor == 0 || add_parameters!(w, back, n, 1, factor)
    vy
end

function pullback!(vy, w::Work{GraphField}, tapes::Tape, v, factor::Float64)
    f, (messages, updates) = w.field, w.back
    n, features, edges, length_m = f.n_nodes, f.n_features, length(f.source), f.n_messages
    gradient(net) = factor == 0 ? nothing : w.gradient[net]
    copyto!(updates.output, v)
    backward!(updates, tapes.nets[2], f.update, w.layers[2], gradient(2), factor)
    arriving, sent = updates.input, messages.output
    @inbounds for b in 1:(w.batch), e in 1:edges
        column, into = e + edges * (b - 1), f.target[e] + n * (b - 1)
        for i in 1:length_m
            sent[i, column] = arriving[features + i, into]
        end
    end
    backward!(messages, tapes.nets[1], f.message, w.layers[1], gradient(1), factor)
    input = messages.input
    @inbounds for column in 1:(n * w.batch), i in 1:features
        vy[features * (column - 1) + i] = arriving[i, column]
    end
    @inbounds for b in 1:(w.batch), e in 1:edges
        column, from, into = e + edges * (b - 1), features * (f.source[e] - 1 + n * (b - 1)), features * (f.target[e] - 1 + n * (b - 1))
        for i in 1:features
            vy[from + i] += input[i, column]
            vy[into + i] += input[features + i, column]
        end
    end
    if factor != 0
        add_parameters!(w, messages, 2features + size(f.edge_features, 1), edges, factor)
        add_parameters!(w, updates, features + length_m + size(f.node_features, 1), n, factor)
    end
    vy
end

"""Add a network's cotangents of the parameters, rows after `first`, summed over the columns of each subject."""
function add_parameters!(w::Work, back::NetBack, first::Int, per_subject::Int, factor::Float64)
    gradient, input = w.parameter_gradient, back.input
    @inbounds for b in 1:(w.batch), c in 1:per_subject, i in axes(gradient, 1)
        gradient[i, b] += factor * input[first + i, c + per_subject * (b - 1)]
    end
end
