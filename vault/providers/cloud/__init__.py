"""Cloud identities: which AWS, Google or Azure credential a provider would use here, and the credential itself.

``modes`` has the words (a mode, its problems, its reasons) and shows a mode as plain rows; ``aws``, ``google`` and ``azure``
resolve one, without network or library; ``aws_credentials``, ``google_token`` and ``azure_token`` obtain a credential through
the cloud's own library, an optional extra; ``environment`` says what a child process gets and loses.
"""
