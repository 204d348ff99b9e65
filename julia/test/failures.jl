rates = fill(-0.1, 1, 11)
rates[1, 8] = 200.0
runaway = PBPKSystem(["body"], [1], [1], rates)
solution = solve(PBPKProblem(runaway, bolus(runaway, "body", 10.0), [0.0, 1.0, 10.0]))
@test failed(solution) == [8]
@test all(isnan, solution.amount[:, :, 8])
@test solution.amount[1, 3, setdiff(1:11, 8)] ≈ fill(10 * exp(-1.0), 10) rtol = 1e-5

system = circulation(6, 2)
hasty = solve(PBPKProblem(system, bolus(system, "iv", 1.0), [0.0, 24.0]); max_steps = 3)
@test all(==(MAX_STEPS), hasty.status) && all(isnan, hasty.amount)

@test_throws ArgumentError PBPKSystem(["a"], [1, 1], [1, 1], [1.0, 2.0])
@test_throws ArgumentError PBPKSystem(["a"], [2], [1], [1.0])
@test_throws ArgumentError PBPKSystem(["a"], [1], [1], [NaN])
@test_throws ArgumentError PBPKSystem(["a", "a"], [1], [1], [1.0])
@test_throws ArgumentError PBPKSystem(["a"], [1], [1], [1.0]; reactions = [Reaction("r", "hill", [1], [1 => -1.0], [1.0])])
@test_throws ArgumentError PBPKProblem(system, StopTable(), [1.0, 1.0])
@test_throws ArgumentError PBPKProblem(system, bolus(system, "iv", 1.0; time = -1.0), [1.0])
@test_throws ArgumentError infusion(system, "iv", 1.0, 0.0)

# what can't be solved is refused by name before anything is integrated
refused(word, f) = @test_throws word f()
times, dose = [0.0, 1.0], bolus(system, "iv", 1.0)
refused("times", () -> PBPKProblem(system, dose, [0.0, NaN, 2.0]))
refused("times", () -> PBPKProblem(system, dose, [0.0, Inf]))
refused("start_time", () -> PBPKProblem(system, dose, times; start_time = NaN))
refused("expected finite numbers", () -> PBPKProblem(system, bolus(system, "iv", NaN), times))
refused("expected a finite number [h]", () -> PBPKProblem(system, bolus(system, "iv", 1.0; time = NaN), times))
refused("kind", () -> PBPKProblem(system, StopTable([0], [0.0], [7], [1], fill(1.0, 1, 1)), times))
refused("different lengths", () -> PBPKProblem(system, StopTable([0, 0], [0.0], [0], [1], fill(1.0, 1, 1)), times))
refused("y0", () -> PBPKProblem(system, dose, times; y0 = fill(NaN, length(system.states))))
refused("subject", () -> bolus(system, "iv", 1.0; subject = 3))
refused("atol", () -> solve(PBPKProblem(system, dose, times); atol = -1.0))
refused("atol", () -> solve(PBPKProblem(system, dose, times); atol = NaN))
refused("rtol", () -> solve(PBPKProblem(system, dose, times); rtol = NaN))
refused("max_step", () -> solve(PBPKProblem(system, dose, times); max_step = 0.0))
refused("weights", () -> Observable([1, 2], 1.0; weights = [1.0]))
named(o) = PBPKSystem(["a", "b"], [1], [1], [-1.0]; observables = Dict("sum" => o))
refused("observable sum", () -> named(Observable([1, 3], 1.0)))
refused("observable sum", () -> named(Observable([1, 2], [1.0], [1.0])))
refused("target", () -> PBPKSystem(["a"], [1], [1], [-1.0]; targets = Dict("oral" => 2)))

@testset "an error is the same error on one thread and on two" for threads in (1, 2)
    work = () -> error("from a task")
    taken = Threads.Atomic{Int}(0)
    @test_throws ErrorException("from a task") PBPKHybrid.run_crew(work, threads, taken, 5)
    @test taken[] >= 5  # the others stop
end

@testset "scale of doses: a rate counts until the next change of its owner, at most an hour" begin
    count = 400
    owner, time = [mod(7i, 5) for i in 1:count], [0.25 * mod(11i, 97) for i in 1:count]
    table = StopTable(owner, time, fill(PBPKHybrid.RATE, count), ones(Int, count), reshape([1.0 + mod(i, 13) for i in 1:count], :, 1))
    plain(e) = minimum((time[f] - time[e] for f in 1:count if owner[f] == owner[e] && time[f] > time[e]); init = 1.0)
    @test PBPKHybrid.running(table) == plain.(1:count)
end

@testset "kernels are compiled while another package is being precompiled" begin
    mktempdir() do folder
        package = joinpath(folder, "Downstream")
        mkpath(joinpath(package, "src"))
        uuid = Base.identify_package("PBPKHybrid").uuid
        write(joinpath(package, "Project.toml"), """
        name = "Downstream"
        uuid = "6a6f0e0e-3c5c-4b0e-9f54-1f0c8a6d2b11"
        [deps]
        PBPKHybrid = "$uuid"
        """)
        write(joinpath(package, "src", "Downstream.jl"), """
        module Downstream
        using PBPKHybrid
        system = PBPKSystem(["a", "b"], [1, 2, 2], [1, 1, 2], [-1.0, 1.0, -0.1]; n_subjects = 16)
        PBPKHybrid.compile!(PBPKHybrid.structure_of(system))
        solution = solve(PBPKProblem(system, bolus(system, "a", 1.0), [0.0, 1.0]; saved = ["a"]); rtol = 1e-8, threads = 1)
        const LEFT = solution.amount[1, 2, 16]
        end
        """)
        separator = Sys.iswindows() ? ';' : ':'
        paths = join([Base.active_project(), folder, "@stdlib"], separator)
        depots = join([joinpath(folder, "depot"); DEPOT_PATH], separator)  # what is compiled goes with the folder
        code = "using Downstream; print(Downstream.LEFT)"
        command = addenv(
            `$(Base.julia_cmd()) --startup-file=no -e $code`, "JULIA_LOAD_PATH" => paths, "JULIA_DEPOT_PATH" => depots, "JULIA_PROJECT" => nothing,
        )
        @test parse(Float64, read(command, String)) ≈ exp(-1) rtol = 1e-6
    end
end
