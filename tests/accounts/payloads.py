"""Texts that would be code, a formula or a new line if anything took them for it."""

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>',
    "';alert(1)//", "</title><script>alert(1)</script>", "<a href=javascript:alert(1)>x</a>",
    "{{ 7*7 }}", "{% csrf_token %}", "${7*7}", "<!--", "-->", "]]>", "&lt;b&gt;", "&#60;b&#62;",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<style>*{display:none}</style>",
    "<base href=//evil.example>", "<meta http-equiv=refresh content=0>", "<form action=//evil>",
    "\" autofocus onfocus=alert(1) x=\"", "javascript:alert(1)", "data:text/html,<script>",
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "%0d%0aSet-Cookie: a=b", "../../etc/passwd",
    "' OR 1=1 --", "{0.__class__}", "%s%s%n", "<math><mtext></form><form><mglyph><style></math>",
    "<xss id=x tabindex=1 onfocus=alert(1)>", "<script src=//evil.example/x.js></script>",
    "<template><script>alert(1)</script></template>", "<svg><script>alert(1)</script></svg>",
    "\u2028alert(1)", "<b>bold", "`alert(1)`", "\\u003cscript\\u003e",
]  # fmt: skip
