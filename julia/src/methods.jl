# Methods by name. All but Tsit5 solve their linear systems along the organ graph.

const METHODS = ("rodas5p", "rodas4", "rodas4p", "fbdf", "kencarp47", "tsit5")

"""
    with_method(f, name)

`f(algorithm)` for a method's name: `"rodas5p"` (default; Steinebach 2023, doi:10.1007/s10543-023-00967-x), `"rodas4"`,
`"rodas4p"`, `"fbdf"` (variable-order BDF), `"kencarp47"` (ESDIRK), `"tsit5"` (explicit, for models that are not stiff).
"""
function with_method(f::F, name::AbstractString) where {F}
    linsolve = LinearSolveFunction(graph_solve)
    name == "rodas5p" && return f(Rodas5P(; linsolve))
    name == "rodas4" && return f(Rodas4(; linsolve))
    name == "rodas4p" && return f(Rodas4P(; linsolve))
    # W is exact at every iteration; at a cutoff above 0 OrdinaryDiffEq takes it for old and damps the iteration
    nlsolve = NLNewton(; new_W_dt_cutoff = 0)
    name == "fbdf" && return f(FBDF(; linsolve, nlsolve))
    name == "kencarp47" && return f(KenCarp47(; linsolve, nlsolve))
    name == "tsit5" && return f(Tsit5())
    throw(ArgumentError("method: got $(repr(name)), expected one of $(join(METHODS, ", "))"))
end
