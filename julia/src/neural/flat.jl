# The entry for Python, as in ../flat.jl: arrays are NumPy or PyTorch memory by address and shape. What a gradient needs stays here
# under a number until Python hands the number back.

"""Arrays of a flat neural solve, in order; `I` Int64, `F` Float64."""
const NEURAL_FLAT = (
    numbers_of_field = :I,   # kind, states or nodes, parameters, time dependent, activation, features (of a scaling field: block), messages
    hidden = :I, source = :I, target = :I, edge_features = :F, node_features = :F,   # nodes from 0
    weights = :F, y0 = :F, parameters = :F, times = :F,
    tolerances = :F,         # rtol, atol
    choices = :I,            # max_steps, number of the record to use (gradient)
    y = :F,                  # saved states, or their cotangents (gradient)
    facts = :I,              # out: record, status, steps, evaluations, subject to blame (from 0)
    reached = :F,            # out: last time
    weights_out = :F, y0_out = :F, parameters_out = :F,
)

struct NeuralTable
    rows::Matrix{Int64}
end
NeuralTable(address::Int64) = NeuralTable(unsafe_wrap(Array, Ptr{Int64}(address), (4, length(NEURAL_FLAT))))
function array(table::NeuralTable, name::Symbol, dims::Val)
    at = findfirst(==(name), keys(NEURAL_FLAT))
    wrap(table.rows, at, FLAT_TYPES[NEURAL_FLAT[at]], dims)
end

const NEURAL_RECORDS = Dict{Int64,NeuralSolution}()
const NEURAL_LOCK = ReentrantLock()
const NEURAL_COUNT = Ref(0)

function field_of(table::NeuralTable)
    kind, size_, n_parameters, time_dependent, activation, features, messages = array(table, :numbers_of_field, Val(1))
    hidden, name = array(table, :hidden, Val(1)), ACTIVATIONS[activation + 1]
    common = (; hidden, n_parameters, activation = name, time_dependent = time_dependent != 0)
    kind == 0 && return MLPField(size_; common...)
    kind == 2 && return ScalingField(features; hidden, activation = name)
    GraphField(
        size_, array(table, :source, Val(1)) .+ 1, array(table, :target, Val(1)) .+ 1; n_features = features, n_messages = messages,
        edge_features = array(table, :edge_features, Val(2)), node_features = array(table, :node_features, Val(2)), common...,
    )
end

function problem_of(table::NeuralTable)
    matrix(name) = array(table, name, Val(2))
    NeuralProblem(field_of(table), array(table, :weights, Val(1)), matrix(:y0), array(table, :times, Val(1)); parameters = matrix(:parameters))
end

"""
    neural_forward(address, method, adjoint, at_home)

Integrate the batch whose arrays the table at `address` names; with `adjoint` other than `"none"` keep what the gradient needs and
write its number into `facts`. The caller keeps the arrays alive until [`neural_release`](@ref).
"""
function neural_forward(address::Int64, method::String, adjoint::String, at_home::Int64)
    at_home == 0 && return without_collection(() -> neural_forward(address, method, adjoint, 1))
    table = NeuralTable(address)
    rtol, atol = array(table, :tolerances, Val(1))
    max_steps = array(table, :choices, Val(1))[1]
    adjoint = chosen_adjoint(adjoint == "none" ? nothing : adjoint, method)
    solution = solve_into!(array(table, :y, Val(3)), problem_of(table), method, rtol, atol, max_steps, adjoint)
    facts = array(table, :facts, Val(1))
    facts .= (0, solution.status, solution.steps, solution.evaluations, solution.blame - 1)
    array(table, :reached, Val(1))[1] = solution.reached
    if solution.status == SUCCESS && adjoint != "none"
        lock(NEURAL_LOCK) do
            NEURAL_COUNT[] += 1
            facts[1] = NEURAL_COUNT[]
            NEURAL_RECORDS[NEURAL_COUNT[]] = solution
        end
    end
    nothing
end

"""
    neural_backward(address, adjoint, at_home)

The gradient of a kept solve, from the cotangents in `y` into the three output arrays.
"""
function neural_backward(address::Int64, adjoint::String, at_home::Int64)
    at_home == 0 && return without_collection(() -> neural_backward(address, adjoint, 1))
    table = NeuralTable(address)
    solution = lock(() -> NEURAL_RECORDS[array(table, :choices, Val(1))[2]], NEURAL_LOCK)
    weights, y0, parameters = array(table, :weights_out, Val(1)), array(table, :y0_out, Val(2)), array(table, :parameters_out, Val(2))
    fill!(weights, 0)
    fill!(parameters, 0)
    status = gradient_into!(weights, y0, parameters, solution, array(table, :y, Val(3)), chosen_adjoint(adjoint, solution.method))
    array(table, :facts, Val(1))[2] = status
    nothing
end

"""
    neural_release(record)

Forget what a solve kept.
"""
neural_release(record::Int64) = (lock(() -> delete!(NEURAL_RECORDS, record), NEURAL_LOCK); nothing)

"""
    neural_evaluate(address)

One evaluation of the field at `times[1]`, into `y` (states x batch x 1): for tests that both languages mean the same field.
"""
function neural_evaluate(address::Int64)
    table = NeuralTable(address)
    matrix(name) = array(table, name, Val(2))
    field, y0, weights = field_of(table), matrix(:y0), array(table, :weights, Val(1))
    work = Work(field, weights, matrix(:parameters), similar(weights), similar(matrix(:parameters)), size(y0, 2))
    evaluate!(array(table, :y, Val(3)), work, Tape(work), y0, array(table, :times, Val(1))[1])
    nothing
end

"""The layout of the field in a table, one block per line: name, first place, rows, columns."""
neural_layout(address::Int64) = join((join(block, ' ') for block in weight_layout(field_of(NeuralTable(address)))), '\n')

"""
    load_sensitivity()

Load SciMLSensitivity, whose adjoint then serves `adjoint = "sciml"`.
"""
function load_sensitivity()
    id = Base.PkgId(Base.UUID("1ed8b502-d754-442c-8d5d-10ac956f44a1"), "SciMLSensitivity")
    haskey(Base.loaded_modules, id) && return nothing
    Base.locate_package(id) === nothing && throw(ArgumentError("adjoint: got \"sciml\", but the Julia package SciMLSensitivity is not installed; use \"auto\""))
    Base.require(id)
    nothing
end

"""Number of solves kept for their gradients."""
neural_kept() = length(NEURAL_RECORDS)
