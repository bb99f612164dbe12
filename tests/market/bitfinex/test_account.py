from market.bitfinex import account, rest


def test_permissions_are_read_by_position_and_appended_fields_ignored():
    request = account.permissions()
    rows = rest.parse(request, 200, b'[["orders",1,0,null],["withdraw",0,1]]')
    assert [(row.scope, row.read, row.write) for row in rows] == [
        ("orders", 1, 0),
        ("withdraw", 0, 1),
    ]
    assert (request.method, request.host, request.body) == ("POST", "auth", "{}")
