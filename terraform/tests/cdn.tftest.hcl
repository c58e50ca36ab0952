mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name             = "faces-test"
  images_directory = "assets"
  allowed_origins  = ["https://app.example.com"]

  bucket = {
    name                 = "assets"
    regional_domain_name = "assets.s3.eu-central-1.amazonaws.com"
  }
}

run "serves_under_cloudfronts_own_name" {
  module {
    source = "./modules/cdn"
  }

  assert {
    condition = (
      length(aws_cloudfront_distribution.this.aliases) == 0 &&
      one(aws_cloudfront_distribution.this.viewer_certificate).cloudfront_default_certificate
    )
    error_message = "Without a domain CloudFront's own name and certificate should do."
  }

  assert {
    condition = (
      aws_cloudfront_origin_access_control.this.signing_behavior == "always" &&
      one(aws_cloudfront_distribution.this.origin).origin_access_control_id == aws_cloudfront_origin_access_control.this.id
    )
    error_message = "Requests to the bucket should be signed."
  }

  assert {
    condition     = one(aws_cloudfront_distribution.this.default_cache_behavior).viewer_protocol_policy == "redirect-to-https"
    error_message = "Plain HTTP should be redirected."
  }
}

run "serves_under_a_domain" {
  module {
    source = "./modules/cdn"
  }

  variables {
    domain_name     = "assets.example.com"
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/one"
  }

  assert {
    condition     = aws_cloudfront_distribution.this.aliases == toset(["assets.example.com"])
    error_message = "The domain should be the distribution's alias."
  }

  assert {
    condition = (
      one(aws_cloudfront_distribution.this.viewer_certificate).acm_certificate_arn == var.certificate_arn &&
      one(aws_cloudfront_distribution.this.viewer_certificate).minimum_protocol_version == "TLSv1.2_2021" &&
      one(aws_cloudfront_distribution.this.viewer_certificate).ssl_support_method == "sni-only"
    )
    error_message = "The domain should be served with its certificate, from TLS 1.2 on."
  }
}

run "shows_the_default_for_a_missing_avatar" {
  module {
    source = "./modules/cdn"
  }

  assert {
    condition     = toset(aws_cloudfront_distribution.this.custom_error_response[*].error_code) == toset([403, 404])
    error_message = "S3 says 403 or 404 for what isn't there; both should show the default avatar."
  }

  assert {
    condition = alltrue([
      for response in aws_cloudfront_distribution.this.custom_error_response :
      response.response_code == 404 && response.response_page_path == "/avatars/_default.jpg" && response.error_caching_min_ttl == 5
    ])
    error_message = "A missing avatar should show the default with status 404, cached for 5 seconds."
  }

  assert {
    condition     = aws_s3_object.default_avatar.cache_control == "public, max-age=5" && aws_s3_object.default_avatar.content_type == "image/jpeg"
    error_message = "Browsers should keep the default avatar for seconds only."
  }

  assert {
    condition     = aws_s3_object.banner.key == "banners/banner.jpg"
    error_message = "The banner is not where front ends look for it."
  }
}

run "keeps_objects_as_long_as_they_say" {
  module {
    source = "./modules/cdn"
  }

  assert {
    condition = (
      aws_cloudfront_cache_policy.this.min_ttl == 0 &&
      aws_cloudfront_cache_policy.this.max_ttl == 86400
    )
    error_message = "Cache-Control of a minute should be honoured, and one of a year for a day: what was removed is gone then."
  }

  assert {
    condition     = one(aws_cloudfront_cache_policy.this.parameters_in_cache_key_and_forwarded_to_origin).query_strings_config[0].query_string_behavior == "none"
    error_message = "A query string would let anyone fill the cache."
  }
}

run "lets_front_ends_read_images" {
  module {
    source = "./modules/cdn"
  }

  assert {
    condition     = one(one(aws_cloudfront_response_headers_policy.this.cors_config).access_control_allow_origins).items == toset(["https://app.example.com"])
    error_message = "Pages of the given origins, and no others, should read an image's bytes."
  }

  assert {
    condition = (
      one(aws_cloudfront_response_headers_policy.this.security_headers_config).content_type_options[0].override &&
      one(aws_cloudfront_response_headers_policy.this.security_headers_config).content_security_policy[0].content_security_policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox" &&
      one(aws_cloudfront_response_headers_policy.this.security_headers_config).frame_options[0].frame_option == "DENY" &&
      one(aws_cloudfront_response_headers_policy.this.security_headers_config).strict_transport_security[0].access_control_max_age_sec == 31536000
    )
    error_message = "The security headers are not all there."
  }
}

run "refuses_a_domain_without_a_certificate" {
  command = plan

  module {
    source = "./modules/cdn"
  }

  variables {
    domain_name = "assets.example.com"
  }

  expect_failures = [var.domain_name]
}
