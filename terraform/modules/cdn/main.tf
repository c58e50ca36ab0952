locals {
  # AWS's own policy Managed-CORS-S3Origin: S3 answers a page's preflight only if it sees who asks,
  # and for what.
  cors_s3_origin = "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf"
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = var.name
  description                       = "Signs the distribution's requests to the assets bucket."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_cache_policy" "this" {
  name    = var.name
  comment = "Keeps each object as long as its Cache-Control says, at most for max_ttl."

  min_ttl     = 0
  default_ttl = 60
  max_ttl     = var.max_ttl_seconds

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_response_headers_policy" "this" {
  #checkov:skip=CKV_AWS_259:Transport security is set; being preloaded by browsers is for the owner of the whole domain to ask for
  name    = var.name
  comment = "Lets the front ends read images, and browsers nothing else into them."

  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 3600
    origin_override                  = true

    access_control_allow_headers {
      items = ["*"]
    }

    access_control_allow_methods {
      items = ["GET", "HEAD"]
    }

    access_control_allow_origins {
      items = var.allowed_origins
    }
  }

  custom_headers_config {
    items {
      header   = "Cross-Origin-Resource-Policy"
      value    = "cross-origin"
      override = true
    }
  }

  remove_headers_config {
    items {
      header = "x-amz-server-side-encryption"
    }
  }

  security_headers_config {
    # An image opened by itself may be laid out by the browser's own styles, and nothing more.
    content_security_policy {
      content_security_policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
      override                = true
    }

    content_type_options {
      override = true
    }

    frame_options {
      frame_option = "DENY"
      override     = true
    }

    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }

    strict_transport_security {
      access_control_max_age_sec = 31536000
      include_subdomains         = true
      override                   = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_68:Public, cached, read-only images; a firewall's fee per request would exceed the bill for serving them
  #checkov:skip=CKV2_AWS_47:No firewall, as said above; nothing behind the distribution logs with Log4j
  #checkov:skip=CKV_AWS_86:A log of who looks at whose avatar is personal data that nobody here needs
  #checkov:skip=CKV_AWS_305:There is no index page to fall back on; the root shows the default avatar
  #checkov:skip=CKV_AWS_310:One origin, one region; CloudFront goes on serving what it has cached
  #checkov:skip=CKV_AWS_374:Users are everywhere
  comment             = var.name
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = var.price_class
  aliases             = var.domain_name == null ? [] : [var.domain_name]
  wait_for_deployment = var.wait_for_deployment

  origin {
    origin_id                = "assets"
    domain_name              = var.bucket.regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.this.id
  }

  default_cache_behavior {
    target_origin_id           = "assets"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    viewer_protocol_policy     = var.viewer_protocol_policy
    cache_policy_id            = aws_cloudfront_cache_policy.this.id
    origin_request_policy_id   = local.cors_s3_origin
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id
  }

  # S3 answers 403 for what the bucket policy doesn't open and for what isn't there.
  dynamic "custom_error_response" {
    for_each = [403, 404]

    content {
      error_code            = custom_error_response.value
      response_code         = 404
      response_page_path    = "/${aws_s3_object.default_avatar.key}"
      error_caching_min_ttl = 5
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain_name == null
    acm_certificate_arn            = var.certificate_arn
    minimum_protocol_version       = var.domain_name == null ? "TLSv1" : "TLSv1.2_2021"
    ssl_support_method             = var.domain_name == null ? null : "sni-only"
  }
}

resource "aws_s3_object" "default_avatar" {
  bucket       = var.bucket.name
  key          = "avatars/_default.jpg"
  source       = "${var.images_directory}/default-avatar.jpg"
  etag         = filemd5("${var.images_directory}/default-avatar.jpg")
  content_type = "image/jpeg"

  # Browsers keep it, with status 404, in the place of an avatar that is just being made.
  cache_control = "public, max-age=5"

  # The provider's tags are for what costs money by itself.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

resource "aws_s3_object" "banner" {
  bucket        = var.bucket.name
  key           = "banners/banner.jpg"
  source        = "${var.images_directory}/banner.jpg"
  etag          = filemd5("${var.images_directory}/banner.jpg")
  content_type  = "image/jpeg"
  cache_control = "public, max-age=86400"

  override_provider {
    default_tags {
      tags = {}
    }
  }
}

# What is asked for every minute, to see that pictures are served: in each folder whose pictures users
# see one object that CloudFront doesn't keep, so that it asks S3. The default avatar is kept for 5 s.
resource "aws_s3_object" "probed" {
  for_each = toset(["banners/", "variants/"])

  bucket        = var.bucket.name
  key           = "${each.key}_probe.txt"
  content       = "${each.key} is served.\n"
  content_type  = "text/plain"
  cache_control = "no-store"

  override_provider {
    default_tags {
      tags = {}
    }
  }
}
