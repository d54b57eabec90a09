-- While no replica is alive, as when the only one is replaced, a request waits for up to ten seconds instead of failing.
core.register_action("wait_for_a_replica", {"http-req"}, function(transaction)
    local deadline = core.now().sec + 10
    while transaction.f:nbsrv("alive") == 0 and core.now().sec < deadline do
        core.msleep(100)
    end
end)
