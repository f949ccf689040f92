-- Asks for /many/0.html to /many/COUNT-1.html in turn: COUNT comes from load.py.
local count = tonumber(os.getenv("BENCH_FILES"))
local requests, next_one = {}, 0

function init(_)
    for number = 0, count - 1 do
        requests[number] = wrk.format("GET", "/many/" .. number .. ".html")
    end
end

function request()
    next_one = (next_one + 1) % count
    return requests[next_one]
end

dofile(os.getenv("BENCH_REPORT"))
