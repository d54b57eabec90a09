-- While no replica is alive, as when the only one is replaced, a request waits for up to ten seconds instead of failing.
core.register_action("wait_for_a_replica", {"http-req"}, function(transaction)
    local deadline = core.now().sec + 10
    local function none() return transaction.f:nbsrv("alive") == 0 end
    while none() and core.now().sec < deadline do
        core.msleep(100)
        -- HAProxy takes one that DNS has just named for alive until the first check, a second later at most.
        if not none() then core.msleep(1200) end
    end
end)
