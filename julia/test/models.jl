# Small systems to test with.

"""Depot -> body -> out, closed: y has an exact solution."""
function absorption(ka, ke)
    k = permutedims([-ka ka -ke ke])
    PBPKSystem(["depot", "body", "out"], [1, 2, 2, 3], [1, 1, 2, 2], repeat(reshape(k, 4, :), 1, length(ka)))
end
absorption(ka::Vector, ke::Vector) =
    PBPKSystem(["depot", "body", "out"], [1, 2, 2, 3], [1, 1, 2, 2], permutedims([-ka ka -ke ke]))

"""A circulation of `organs` organs between two blood pools, with one reaction of every law, for `subjects` people."""
function circulation(organs, subjects)
    n = organs + 4
    art, ven, bound, sink = organs + 1, organs + 2, organs + 3, organs + 4
    entries = Dict{Tuple{Int,Int},Vector{Float64}}()
    add(i, j, v) = (entries[(i, j)] = get(entries, (i, j), zeros(subjects)) .+ v)
    vary(x, i) = [x * (1 + 0.1 * sin(i + 3.0 * s)) for s in 1:subjects]
    for i in 1:organs
        flow, leave = vary(40.0 / i, i), vary(5.0 / i^1.5, 2i)
        add(i, art, flow); add(art, art, -flow)
        add(ven, i, flow .* leave ./ 40); add(i, i, -flow .* leave ./ 40)
    end
    add(art, ven, 90.0); add(ven, ven, -90.0)
    add(bound, bound, -0.3); add(1, bound, 0.3)
    keys_ = sort!(collect(keys(entries)))
    reactions = [
        Reaction("enzyme", "michaelis_menten", [2, 3], [2 => -1.0, sink => 1.0], vcat(vary(30.0, 1)', vary(4.0, 2)', vary(2.0, 3)')),
        Reaction("binding", "mass_action", [1, 4], [1 => -1.0, 4 => -1.0, bound => 2.0], reshape(vary(0.01, 5), 1, :)),
        Reaction("steep", "hill", [5], [5 => -1.0, sink => 1.0], vcat(vary(2.0, 6)', vary(3.0, 7)', vary(1.8, 8)')),
        Reaction("driven", "hill_product", [5, 2], [2 => -1.0, sink => 1.0], vcat(vary(0.5, 9)', vary(2.0, 10)', vary(0.7, 11)')),
        Reaction(
            "transporter", "enzymatic", [3, bound, 1, 5], [3 => -1.0, 2 => 1.0],
            vcat(vary(1.5, 12)', vary(0.2, 13)', vary(0.5, 14)', vary(0.3, 15)', vary(0.1, 16)', vary(0.4, 17)'),
        ),
    ]
    PBPKSystem(
        ["s$i" for i in 1:n], first.(keys_), last.(keys_), permutedims(reduce(hcat, (entries[k] for k in keys_))); reactions,
        targets = Dict("iv" => ven), observables = Dict("plasma" => Observable([ven], fill(0.3, subjects))),
    )
end
