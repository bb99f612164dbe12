"""Static files are stored under names that change with their content, modules included."""

import re

from django.core.management import call_command


def test_every_import_of_a_module_names_a_file_that_is_there(settings, tmp_path):
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "bfxdash.static.HashedModules"},
    }
    call_command("collectstatic", verbosity=0, interactive=False)
    hashed = [
        path for path in tmp_path.rglob("*.js") if re.search(r"\.[0-9a-f]{12}\.js$", path.name)
    ]
    assert hashed
    for path in hashed:
        for name in re.findall(r"""from ["'](\.[^"']+)["']""", path.read_text()):
            assert re.search(r"\.[0-9a-f]{12}\.js$", name)
            assert (path.parent / name).is_file()
