"""The pages for people: server-rendered HTML over the same functions as the JSON routes.

A page calls the functions of `service.api.routes` and shows what they answer; it asks no database itself.
"""
