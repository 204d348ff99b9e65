# Neural ODEs: vector fields that are networks, integrated for a batch of subjects, with gradients.
include("activations.jl")
include("network.jl")
include("fields.jl")
include("scaling.jl")
include("blocks.jl")
include("solve.jl")
include("adjoint.jl")
include("flat.jl")
