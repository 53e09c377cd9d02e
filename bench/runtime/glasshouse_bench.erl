%% The same work on Erlang/OTP: plain processes for messages, gen_servers under a simple_one_for_one
%% supervisor for spawn, stop, crash and ask. Started by otp.py with one scheduler:
%%
%%     erl +S 1:1 ... -s glasshouse_bench main -extra SIZE LEAST SAMPLE_MS WORKLOAD...
%%
%% Prints a line for each workload: its name, and the samples in microseconds of CPU (of kilobytes for
%% memory). The CPU clock of the VM counts in milliseconds, so a sample is as many operations as take
%% SAMPLE_MS.
-module(glasshouse_bench).

-export([main/0, start_link/1]).
%% Callbacks of gen_server and supervisor.
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(BUSY, 1000).

main() ->
    [Size, Least, SampleMs | Workloads] = init:get_plain_arguments(),
    logger:set_primary_config(level, none),
    lists:foreach(
        fun(Workload) ->
            Values = measure(Workload, list_to_integer(Size), list_to_integer(Least), list_to_integer(SampleMs)),
            Texts = [io_lib:format("~.4f", [Value * 1.0]) || Value <- Values],
            io:format("~s|~s~n", [Workload, lists:join(" ", Texts)])
        end,
        Workloads
    ),
    erlang:halt(0).

%% Workloads. Each gives a fun that does about as many operations as it is told, and returns how many it
%% did and what of the CPU time was for something else.

measure("tell busy", Size, Least, SampleMs) ->
    _ = population(Size - 1),
    Pid = spawn(fun() -> counter() end),
    samples(fun(Count) -> {busy(Pid, Count), 0} end, Least, SampleMs);
measure("tell asleep", Size, Least, SampleMs) ->
    Pids = population(Size),
    Last = lists:last(Pids),
    samples(fun(Count) -> {asleep(Pids, Last, Size, Count), 0} end, Least, SampleMs);
measure("ask", Size, Least, SampleMs) ->
    Sup = supervisor_of(Size),
    Pids = list_to_tuple(children(Sup)),
    samples(fun(Count) -> ask(Pids, Count), {Count, 0} end, Least, SampleMs);
measure("round trip", Size, Least, SampleMs) ->
    _ = population(Size - 2),
    B = spawn(fun() -> plays() end),
    A = spawn(fun() -> serves(B) end),
    samples(fun(Count) -> A ! {play, Count, self()}, wait(), {Count, 0} end, Least, SampleMs);
measure("fan-in", Size, Least, SampleMs) ->
    Collector = spawn(fun() -> collects() end),
    Producers = [spawn(fun() -> produces(Collector) end) || _ <- lists:seq(1, Size)],
    Fun = fun(Count) ->
        Each = max(1, min(1000, Count div Size)),
        Rounds = max(1, Count div (Size * Each)),
        [
            begin
                Collector ! {expect, Size * Each, self()},
                [Pid ! {produce, Each} || Pid <- Producers],
                wait()
            end
         || _ <- lists:seq(1, Rounds)
        ],
        {Rounds * Size * Each, 0}
    end,
    samples(Fun, Least, SampleMs);
measure("fan-out", Size, Least, SampleMs) ->
    Pids = population(Size),
    Last = lists:last(Pids),
    Broadcaster = spawn(fun() -> broadcasts(Pids) end),
    Fun = fun(Count) ->
        Each = max(1, min(1000, Count div Size)),
        Rounds = max(1, Count div (Size * Each)),
        [
            begin
                [Broadcaster ! tell || _ <- lists:seq(1, Each)],
                Broadcaster ! {last, Last, self()},
                wait()
            end
         || _ <- lists:seq(1, Rounds)
        ],
        {Rounds * Size * Each, 0}
    end,
    samples(Fun, Least, SampleMs);
measure("spawn", Size, Least, SampleMs) ->
    Sup = supervisor_of(Size),
    Fun = fun(Count) ->
        Pids = [child(Sup) || _ <- lists:seq(1, Count)],
        Began = cpu(),
        [ok = supervisor:terminate_child(Sup, Pid) || Pid <- Pids],
        {Count, cpu() - Began}
    end,
    samples(Fun, Least, SampleMs);
measure("spawn unsupervised", Size, Least, SampleMs) ->
    _ = population(Size),
    Fun = fun(Count) ->
        Pids = [spawn(fun() -> counter() end) || _ <- lists:seq(1, Count)],
        lists:last(Pids) ! {last, self()},
        wait(),
        Began = cpu(),
        [exit(Pid, kill) || Pid <- Pids],
        gone(lists:last(Pids)),
        {Count, cpu() - Began}
    end,
    samples(Fun, Least, SampleMs);
measure("stop", Size, Least, SampleMs) ->
    Sup = supervisor_of(Size),
    Fun = fun(Count) ->
        Began = cpu(),
        Pids = [child(Sup) || _ <- lists:seq(1, Count)],
        Spent = cpu() - Began,
        [ok = supervisor:terminate_child(Sup, Pid) || Pid <- Pids],
        {Count, Spent}
    end,
    samples(Fun, Least, SampleMs);
measure("crash", Size, Least, SampleMs) ->
    _ = supervisor_of(Size - 1),
    %% A supervisor goes through its list of restarts at each, so none gets more than fifty.
    Fun = fun(Count) ->
        Rounds = max(1, Count div 50),
        [crashes(50) || _ <- lists:seq(1, Rounds)],
        {Rounds * 50, 0}
    end,
    samples(Fun, Least, SampleMs);
measure("watch", Size, Least, SampleMs) ->
    Sup = supervisor_of(Size),
    Fun = fun(Count) ->
        Began = cpu(),
        Pids = [child(Sup) || _ <- lists:seq(1, Count)],
        Spent = cpu() - Began,
        [erlang:monitor(process, Pid) || Pid <- Pids],
        [ok = supervisor:terminate_child(Sup, Pid) || Pid <- Pids],
        [
            receive
                {'DOWN', _, process, Pid, _} -> ok
            end
         || Pid <- Pids
        ],
        {Count, Spent}
    end,
    samples(Fun, Least, SampleMs);
measure("timer", Size, Least, SampleMs) ->
    Hot = min(100, Size),
    Pids = [spawn(fun() -> rearms() end) || _ <- lists:seq(1, Size)],
    HotPids = lists:sublist(Pids, Hot),
    Fun = fun(Count) ->
        Each = max(1, Count div Hot),
        [Pid ! {beat, Each, self()} || Pid <- HotPids],
        [wait() || _ <- HotPids],
        {Hot * Each, 0}
    end,
    %% So that a sample of CPU time is not too long to wait for: a lone timer is one a millisecond.
    Ms =
        case Size of
            1 -> min(SampleMs, 10);
            _ -> min(SampleMs, 20)
        end,
    samples(Fun, Least, Ms);
measure("timer restart", _Size, Least, SampleMs) ->
    Fun = fun(Count) ->
        First = erlang:send_after(1000000, self(), idle),
        Last = lists:foldl(
            fun(_, Timer) ->
                _ = erlang:cancel_timer(Timer),
                erlang:send_after(1000000, self(), idle)
            end,
            First,
            lists:seq(1, Count)
        ),
        erlang:cancel_timer(Last),
        {Count, 0}
    end,
    samples(Fun, Least, SampleMs);
measure("memory fresh", Size, _Least, _SampleMs) ->
    memory(Size, fun(_) -> ok end);
measure("memory idle", Size, _Least, _SampleMs) ->
    memory(Size, fun(Pids) -> [gen_server:call(Pid, ask) || Pid <- Pids] end).

memory(Size, Use) ->
    Warm = supervisor_of(50),
    _ = children(Warm),
    erlang:garbage_collect(),
    Before = resident_kb(),
    Sup = supervisor_of(0),
    Pids = [child(Sup) || _ <- lists:seq(1, Size)],
    Use(Pids),
    erlang:garbage_collect(),
    [max(0, resident_kb() - Before) / Size].

%% Samples

samples(Fun, Least, SampleMs) ->
    Count = enough(Fun, 100, SampleMs),
    [sample(Fun, Count) || _ <- lists:seq(1, Least)].

enough(Fun, Count, SampleMs) ->
    Began = cpu(),
    {_, Other} = Fun(Count),
    case cpu() - Began - Other of
        Took when Took >= SampleMs -> Count;
        Took when Took < 2 -> enough(Fun, Count * 8, SampleMs);
        Took -> max(Count, Count * (SampleMs + 5) div Took)
    end.

sample(Fun, Count) ->
    Began = cpu(),
    {Done, Other} = Fun(Count),
    (cpu() - Began - Other) * 1000 / Done.

cpu() ->
    {Milliseconds, _} = erlang:statistics(runtime),
    Milliseconds.

resident_kb() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = string:split(Text, " ", all),
    binary_to_integer(Pages) * 4.

%% Processes

population(Size) -> [spawn(fun() -> counter() end) || _ <- lists:seq(1, max(0, Size))].

wait() ->
    receive
        done -> ok
    end.

gone(Pid) ->
    Reference = erlang:monitor(process, Pid),
    receive
        {'DOWN', Reference, process, Pid, _} -> ok
    end.

counter() -> counter(0).

counter(Count) ->
    receive
        tell ->
            counter(Count + 1);
        {last, To} ->
            To ! done,
            counter(Count)
    end.

busy(Pid, Count) ->
    Rounds = max(1, Count div ?BUSY),
    [
        begin
            tell(Pid, ?BUSY - 1),
            Pid ! {last, self()},
            wait()
        end
     || _ <- lists:seq(1, Rounds)
    ],
    Rounds * ?BUSY.

tell(_, 0) ->
    ok;
tell(Pid, Count) ->
    Pid ! tell,
    tell(Pid, Count - 1).

%% One scheduler runs processes in the order they got their message, so the last one answers when all have.
asleep(Pids, Last, Size, Count) ->
    Rounds = max(1, Count div Size),
    [
        begin
            [Pid ! tell || Pid <- Pids],
            Last ! {last, self()},
            wait()
        end
     || _ <- lists:seq(1, Rounds)
    ],
    Rounds * Size.

ask(Pids, Count) ->
    Size = tuple_size(Pids),
    [gen_server:call(element(Number rem Size + 1, Pids), ask) || Number <- lists:seq(1, Count)].

serves(Other) ->
    receive
        {play, Count, From} ->
            trips(Other, Count),
            From ! done,
            serves(Other)
    end.

trips(_, 0) ->
    ok;
trips(Other, Count) ->
    Other ! {ball, self()},
    receive
        ball -> trips(Other, Count - 1)
    end.

plays() ->
    receive
        {ball, From} ->
            From ! ball,
            plays()
    end.

collects() ->
    receive
        {expect, Count, From} ->
            collects(Count),
            From ! done,
            collects()
    end.

collects(0) ->
    ok;
collects(Count) ->
    receive
        tell -> collects(Count - 1)
    end.

produces(To) ->
    receive
        {produce, Count} ->
            tell(To, Count),
            produces(To)
    end.

broadcasts(Pids) ->
    receive
        tell ->
            [Pid ! tell || Pid <- Pids],
            broadcasts(Pids);
        {last, Last, From} ->
            Last ! {last, From},
            broadcasts(Pids)
    end.

rearms() ->
    receive
        {beat, Count, From} ->
            beats(Count),
            From ! done,
            rearms()
    end.

beats(0) ->
    ok;
beats(Count) ->
    erlang:send_after(1, self(), fire),
    receive
        fire -> beats(Count - 1)
    end.

%% Under supervision

supervisor_of(Size) ->
    {ok, Sup} = supervisor:start_link(?MODULE, supervisor),
    [child(Sup) || _ <- lists:seq(1, Size)],
    Sup.

child(Sup) -> child(Sup, none).

child(Sup, Says) ->
    {ok, Pid} = supervisor:start_child(Sup, [Says]),
    Pid.

children(Sup) -> [Pid || {_, Pid, _, _} <- supervisor:which_children(Sup)].

crashes(Count) ->
    Sup = supervisor_of(0),
    Pid = child(Sup, self()),
    receive
        {up, Pid} -> ok
    end,
    Survivor = lists:foldl(fun(_, At) -> crash(At) end, Pid, lists:seq(1, Count)),
    ok = supervisor:terminate_child(Sup, Survivor),
    unlink(Sup),
    exit(Sup, shutdown).

crash(Pid) ->
    gen_server:cast(Pid, crash),
    receive
        {up, Next} -> Next
    end.

start_link(Says) -> gen_server:start_link(?MODULE, {worker, Says}, []).

init(supervisor) ->
    Flags = #{strategy => simple_one_for_one, intensity => 1000000000, period => 5},
    Child = #{id => worker, start => {?MODULE, start_link, []}, restart => permanent, shutdown => 5000},
    {ok, {Flags, [Child]}};
init({worker, none}) ->
    {ok, 0};
init({worker, Says}) ->
    Says ! {up, self()},
    {ok, 0}.

handle_call(ask, _, State) -> {reply, ok, State}.

handle_cast(crash, _) -> error(crash).

handle_info(_, State) -> {noreply, State}.
